# PostgreSQL with pgSphere, which no published image has.
FROM postgres:17-trixie
RUN apt-get update \
    && apt-get install --yes --no-install-recommends "postgresql-$PG_MAJOR-pgsphere" \
    && rm -rf /var/lib/apt/lists/*

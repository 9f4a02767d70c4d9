# The service; PostgreSQL is elsewhere (KM3VO_DATABASE_URL).
FROM python:3.13-slim-trixie
WORKDIR /srv/km3vo

# First the versions, which change seldom.
COPY requirements.lock ./
RUN pip install --no-cache-dir --requirement requirements.lock

COPY pyproject.toml README.md ./
COPY km3vo km3vo
COPY migrations migrations
COPY schemas schemas
RUN pip install --no-cache-dir --no-deps . \
    && useradd --system --home-dir /var/lib/km3vo --create-home km3vo

USER km3vo
ENV KM3VO_HOME=/var/lib/km3vo KM3VO_HOST=0.0.0.0
VOLUME /var/lib/km3vo
EXPOSE 8000
CMD ["km3vo", "up"]

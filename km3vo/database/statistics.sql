-- The statistics of counts and error circles as functions that ADQL offers (km3vo/adql/udf.py), to 1e-10 of the same in
-- km3vo/correlation. They compute and read nothing. Names are qualified, since nobody knows the caller's search_path.

-- ln n! - (n + 1/2) ln n + n - ln(2π)/2: what Stirling's formula leaves out (Abramowitz & Stegun 6.1.41). n >= 1.
CREATE OR REPLACE FUNCTION public.km3_stirling_rest(n double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN n > 15 THEN
        (1 / 12e0 - (1 / 360e0 - (1 / 1260e0 - (1 / 1680e0 - 1 / (1188e0 * n * n)) / n / n) / n / n) / n / n) / n
    ELSE
        ln((ARRAY[1, 2, 6, 24, 120, 720, 5040, 40320, 362880, 3628800, 39916800, 479001600, 6227020800, 87178291200,
                  1307674368000])[n::integer]::double precision) - (n + 0.5) * ln(n) + n - ln(2 * pi()) / 2
    END
$$;

-- x ln(x/m) + m - x, without the loss of digits where x is near m: with v = (x - m)/(x + m) it is
-- (x - m) v + 2x (v³/3 + v⁵/5 + …). x >= 0, m > 0.
CREATE OR REPLACE FUNCTION public.km3_deviance(x double precision, m double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v double precision := (x - m) / (x + m);
    w double precision := v * v;
BEGIN
    IF x = 0 THEN
        RETURN m;
    ELSIF abs(v) < 0.1 THEN
        RETURN (x - m) * v + 2 * x * v * w * (1 / 3e0 + w * (1 / 5e0 + w * (1 / 7e0 + w * (1 / 9e0
            + w * (1 / 11e0 + w * (1 / 13e0 + w * (1 / 15e0 + w / 17e0)))))));
    END IF;
    RETURN x * (ln(x) - ln(m)) + m - x;
END $$;

-- exp(x), and 0 where PostgreSQL would raise an error for an underflow.
CREATE OR REPLACE FUNCTION public.km3_exp(x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT CASE WHEN x > -700 THEN exp(x) ELSE 0 END $$;

-- -ln(1 - q) = 2 atanh(q / (2 - q)), which keeps its digits for small q.
CREATE OR REPLACE FUNCTION public.km3_sigma(err double precision, q double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT err / (2 * sqrt(atanh(CASE WHEN q > 0 AND q < 1 THEN q / (2 - q) END)))
$$;

CREATE OR REPLACE FUNCTION public.km3_psf(sep double precision, sigma double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN sigma > 0 THEN
        CASE WHEN abs(sep) / 50 < sigma THEN public.km3_exp(-(sep / sigma) * (sep / sigma) / 2) ELSE 0 END
        / (2 * pi() * radians(sigma) * radians(sigma))
    END
$$;

-- 1 - exp(-x) = 2 exp(-x/2) sinh(x/2), which keeps its digits for small x.
CREATE OR REPLACE FUNCTION public.km3_containment(sep double precision, sigma double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    x double precision;
BEGIN
    IF NOT sigma > 0 THEN
        RETURN NULL;
    ELSIF abs(sep) / 50 >= sigma THEN
        RETURN 1;
    END IF;
    x := (sep / sigma) * (sep / sigma) / 4;
    RETURN 2 * exp(-x) * sinh(x);
END $$;

-- P(N >= n): the smaller of the two tails is summed, from its largest term on, and that is n's own chance by
-- Stirling's formula (Loader 2000, Fast and Accurate Computation of Binomial Probabilities).
CREATE OR REPLACE FUNCTION public.km3_poisson_p(n integer, mu double precision) RETURNS double precision
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    term double precision := 1;
    total double precision := 0;
    k double precision := n;
    chance double precision;
BEGIN
    IF NOT mu >= 0 OR mu = 'NaN' THEN
        RETURN NULL;
    ELSIF n <= 0 OR mu > 1e12 THEN
        RETURN 1;
    ELSIF mu = 0 THEN
        RETURN 0;
    END IF;
    chance := public.km3_exp(-public.km3_stirling_rest(n) - public.km3_deviance(n, mu)) / sqrt(2 * pi() * n);
    IF mu < n THEN
        WHILE term > 1e-17 * total LOOP
            total := total + term;
            k := k + 1;
            EXIT WHEN mu / k < 1e-20;
            term := term * (mu / k);
        END LOOP;
        RETURN chance * total;
    END IF;
    WHILE term > 1e-17 * total LOOP
        term := term * (k / mu);
        total := total + term;
        k := k - 1;
    END LOOP;
    RETURN 1 - chance * total;
END $$;

-- I_x(a, b) with x = 1/(1 + τ), a = n_on, b = n_off + 1, by the continued fraction DLMF 8.17.22, evaluated by Lentz's
-- method; from its other side where that converges better.
CREATE OR REPLACE FUNCTION public.km3_binomial_p(n_on integer, n_off integer, tau double precision)
RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    a double precision := n_on;
    b double precision := n_off + 1e0;
    n double precision := a + b;
    x double precision;
    y double precision;
    chance double precision;
    swapped boolean;
    m double precision := 0;
    c double precision := 1;
    d double precision := 0;
    fraction double precision := 1;
    step double precision;
BEGIN
    IF n_off < 0 OR NOT tau >= 0 OR tau = 'NaN' THEN
        RETURN NULL;
    ELSIF n_on <= 0 OR tau < 1e-100 THEN
        RETURN 1;
    ELSIF tau > 1e100 THEN
        RETURN 0;
    END IF;
    x := 1 / (1 + tau);
    y := tau / (1 + tau);
    chance := sqrt(n / (2 * pi() * a * b)) * public.km3_exp(
        public.km3_stirling_rest(n) - public.km3_stirling_rest(a) - public.km3_stirling_rest(b)
        - public.km3_deviance(a, n * x) - public.km3_deviance(b, n * y));
    swapped := x > (a + 1) / (n + 2);
    IF swapped THEN
        x := y;
        a := b;
        b := n_on;
    END IF;
    LOOP
        step := -(a + m) * (n + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d := 1 / (1 + step * d);
        c := 1 + step / c;
        fraction := fraction * c * d;
        m := m + 1;
        step := m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d := 1 / (1 + step * d);
        c := 1 + step / c;
        fraction := fraction * c * d;
        EXIT WHEN abs(c * d - 1) < 1e-15 OR m > 1e6;
    END LOOP;
    chance := chance * b / n / fraction;
    RETURN CASE WHEN swapped THEN 1 - chance ELSE chance END;
END $$;

-- Li & Ma 1983, eq. 17, whose two terms are the deviances of both counts.
CREATE OR REPLACE FUNCTION public.km3_lima(n_on integer, n_off integer, alpha double precision)
RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    n double precision := n_on::double precision + n_off;
BEGIN
    IF n_on < 0 OR n_off < 0 OR NOT alpha > 0 OR alpha = 'NaN' OR alpha > 1e100 OR alpha < 1e-100 THEN
        RETURN NULL;
    ELSIF n = 0 THEN
        RETURN 0;
    END IF;
    RETURN sign(n_on - alpha * n_off) * sqrt(2 * (public.km3_deviance(n_on, n * (alpha / (1 + alpha)))
        + public.km3_deviance(n_off, n / (1 + alpha))));
END $$;

-- Number of the HEALPix pixel of an order, in nested order, that holds a position in radians (Górski et al. 2005,
-- ApJ 622, 759, §5). pgSphere 1.2 names a pixel at the other side of the sky on some borders, and where it does not, another
-- one than astropy-healpix does. NULL for an order that is none.
CREATE OR REPLACE FUNCTION public.km3_healpix(pixels integer, lon double precision, lat double precision) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    quarter double precision := pi() / 2;
    most bigint := 536870911;  -- places along an edge of a base pixel, from 0
    part double precision := lon - 2 * pi() * floor(lon / (2 * pi()));
    base integer := 0;
    z double precision := sin(lat);
    a double precision;
    b double precision;
    x bigint;
    y bigint;
BEGIN
    IF pixels NOT BETWEEN 0 AND 29 THEN
        RETURN NULL;
    END IF;
    -- Half of the sky and then a quarter are taken off, which is exact.
    IF part >= pi() THEN
        part := part - pi();
        base := 2;
    END IF;
    IF part >= quarter THEN
        part := part - quarter;
        base := base + 1;
    END IF;
    part := part / quarter;
    IF abs(z) >= 2::double precision / 3 THEN
        a := cos(lat) * sqrt(3 / (1 + abs(z))) * part;
        b := cos(lat) * sqrt(3 / (1 + abs(z))) * (1 - part);
        IF z > 0 THEN
            x := floor((1 - b) * (most + 1));
            y := floor((1 - a) * (most + 1));
        ELSE
            x := floor(a * (most + 1));
            y := floor(b * (most + 1));
            base := base + 8;
        END IF;
    ELSE
        a := (z + 2::double precision / 3) * 3 / 4 + part;
        b := (z + 2::double precision / 3) * 3 / 4 - part + 1;
        base := CASE
            WHEN a >= 1 AND b >= 1 THEN base
            WHEN a >= 1 THEN (base + 1) % 4 + 4
            WHEN b >= 1 THEN base + 4
            ELSE base + 8
        END;
        x := floor((a - (a >= 1)::integer) * (most + 1));
        y := floor((b - (b >= 1)::integer) * (most + 1));
    END IF;
    x := CASE WHEN x < 0 THEN 0 WHEN x > most THEN most ELSE x END;
    y := CASE WHEN y < 0 THEN 0 WHEN y > most THEN most ELSE y END;
    -- Their bits in turn: each step moves the upper half of every group to where its own group begins.
    x := (x | (x << 16)) & 281470681808895;
    y := (y | (y << 16)) & 281470681808895;
    x := (x | (x << 8)) & 71777214294589695;
    y := (y | (y << 8)) & 71777214294589695;
    x := (x | (x << 4)) & 1085102592571150095;
    y := (y | (y << 4)) & 1085102592571150095;
    x := (x | (x << 2)) & 3689348814741910323;
    y := (y | (y << 2)) & 3689348814741910323;
    x := (x | (x << 1)) & 6148914691236517205;
    y := (y | (y << 1)) & 6148914691236517205;
    RETURN ((base::bigint << 58) | x | (y << 1)) >> (2 * (29 - pixels));
END $$;

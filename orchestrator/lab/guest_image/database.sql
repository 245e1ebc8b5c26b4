CREATE ROLE app LOGIN;
CREATE DATABASE app OWNER app;
\connect app
SET ROLE app;
CREATE TABLE records (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    body text NOT NULL
);
INSERT INTO records (at, body)
SELECT timestamptz '2026-01-05 08:00Z' + number * interval '1 hour', '受理 case ' || number
FROM generate_series(1, 120) AS number;

# syntax=docker/dockerfile:1
# Both stages are the same Debian, so that the binary finds the C library it was linked with.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && install -D target/release/conclave /out/conclave

FROM debian:bookworm-slim
# The ids are fixed: a volume's files must mean the same user in every container.
RUN groupadd --system --gid 10001 conclave \
    && useradd --system --uid 10001 --gid conclave --home-dir /var/lib/conclave --shell /usr/sbin/nologin conclave \
    && install -d -o conclave -g conclave -m 0750 /var/lib/conclave \
    && install -d -g conclave -m 2750 /etc/conclave /etc/conclave/mappings
# For servers and collectors that are reached by https; this image brings none of its own.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/conclave /usr/local/bin/conclave
COPY --chmod=0755 scripts/create-mapping.sh /usr/local/bin/create-mapping.sh
COPY --chmod=0755 scripts/docker-health.sh /usr/local/bin/docker-health.sh
USER conclave
WORKDIR /var/lib/conclave
ENV STATE_DIRECTORY=/var/lib/conclave
EXPOSE 8080 9080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["docker-health.sh", "9081", "/ready"]
ENTRYPOINT ["conclave"]
CMD ["up"]

# Gantry in a small image: everything linked in but the C library, run by a user without rights.
FROM rust:1.95-bookworm AS build
# librdkafka's configure step wants python, OpenSSL's wants perl; the image has both, and the compilers.
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --features static --bin gantry \
    && install target/release/gantry /usr/local/bin/gantry

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/gantry /usr/local/bin/gantry
RUN useradd --system --uid 10001 --user-group --no-create-home gantry
USER 10001:10001
# A container is reached from outside or not at all: the loopback default would hide the control port.
ENV GANTRY__CONTROL__LISTEN=0.0.0.0:8083
EXPOSE 8083
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=6 \
    CMD ["gantry", "status", "--url", "http://127.0.0.1:8083"]
ENTRYPOINT ["gantry"]
CMD ["run", "/etc/gantry/gantry.yaml"]

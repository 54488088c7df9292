# Gantry in a small image: everything linked in but the C library, run by a user without rights.
#
#   docker build -t gantry .                                    the image
#   docker build --target symbols --output symbols .            the debug symbols of the same build, for a debugger
#   docker run -v ./gantry.yaml:/etc/gantry/gantry.yaml:ro -p 127.0.0.1:8083:8083 gantry
#
# It runs with --read-only, --cap-drop ALL and --security-opt no-new-privileges. What it may write to is /var/lib/gantry.
FROM rust:1.95.0-bookworm AS build
# librdkafka's configure step wants python, OpenSSL's wants perl; the image has both, and the compilers.
WORKDIR /src
COPY . .
# The symbols are three quarters of what is built: they go beside the program, which names them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --features static --bin gantry \
    && mkdir /out && cd /out \
    && objcopy --only-keep-debug --compress-debug-sections /src/target/release/gantry gantry.debug \
    && objcopy --strip-all --add-gnu-debuglink=gantry.debug /src/target/release/gantry gantry

FROM scratch AS symbols
COPY --from=build /out/gantry.debug /

FROM debian:bookworm-20260610-slim
# Public authorities, for amqps:// and Kafka over TLS.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --user-group --no-create-home gantry \
    && install --directory --owner=gantry --group=gantry --mode=0750 /var/lib/gantry
COPY --from=build /out/gantry /usr/local/bin/gantry
USER 10001:10001
# Dead letters in files go here; a volume keeps them.
WORKDIR /var/lib/gantry
# A container is reached from outside or not at all: loopback would hide the control port. What a file says wins.
ENV GANTRY_DEFAULT_LISTEN=0.0.0.0:8083
EXPOSE 8083
# Whether the process lives, not whether its bridges are ready: nothing is mended by a restart while a broker is away.
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["gantry", "health"]
ENTRYPOINT ["gantry"]
CMD ["run", "/etc/gantry/gantry.yaml"]

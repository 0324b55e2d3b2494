# syntax=docker/dockerfile:1

# docker build -t wagate .                    the gateway; it wants DATABASE_URL
# docker build -t wagate-demo --target demo . the sandbox flavour with PostgreSQL inside: nothing to configure
#
# Whoever distributes an image distributes a binary: NOTICE says under which licence.

FROM rust:1.95-slim-bookworm AS sources
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
ENV CARGO_TERM_COLOR=never SQLX_OFFLINE=true
# The dependencies alone first, so that a change of ours does not build them again: empty targets stand in for ours.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src tests/it benches \
    && echo 'fn main() {}' | tee src/main.rs tests/it/main.rs benches/gateway.rs benches/fleet.rs >/dev/null \
    && touch src/lib.rs

FROM sources AS gateway
# Twice: the build script of `waproto` marks itself stale, so the second build compiles it and all above it again,
# and only then it rests.
RUN cargo build --locked --release && cargo build --locked --release
COPY . .
# Older than the stand-ins by their dates, which is all that cargo looks at.
RUN find src -name '*.rs' -exec touch {} + && cargo build --locked --release

FROM sources AS sandbox
RUN cargo build --locked --release --features sandbox && cargo build --locked --release --features sandbox
COPY . .
RUN find src -name '*.rs' -exec touch {} + && cargo build --locked --release --features sandbox

FROM debian:bookworm-slim AS demo
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends ca-certificates postgresql \
    && rm -rf /var/lib/apt/lists/* /etc/postgresql /var/lib/postgresql/* \
    && useradd --system --home-dir /var/lib/wagate --create-home --shell /usr/sbin/nologin wagate
COPY --from=sandbox /src/target/release/wagate /usr/local/bin/wagate
COPY LICENSE-APACHE LICENSE-MIT NOTICE /usr/share/doc/wagate/
USER wagate
ENV WAGATE_DATA__DIR=/var/lib/wagate WAGATE_SERVER__LISTEN=0.0.0.0:8080
VOLUME /var/lib/wagate
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/local/bin/wagate", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/wagate"]
CMD ["demo"]

# The default target is the last one.
FROM debian:bookworm-slim AS wagate
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/wagate --create-home --shell /usr/sbin/nologin wagate
COPY --from=gateway /src/target/release/wagate /usr/local/bin/wagate
COPY LICENSE-APACHE LICENSE-MIT NOTICE /usr/share/doc/wagate/
USER wagate
# The operator's listener stays on loopback inside the container.
ENV WAGATE_DATA__DIR=/var/lib/wagate WAGATE_SERVER__LISTEN=0.0.0.0:8080
# Holds the vault key: without it every instance must be linked again.
VOLUME /var/lib/wagate
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["/usr/local/bin/wagate", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/wagate"]
CMD ["serve"]

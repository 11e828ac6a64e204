# A small image of hemid and hemi. It serves one tenant on a socket in /run/hemi, which is to be mounted: share that
# directory (never the socket file) with the clients. Runs as a non-root user, with a read-only root:
#
#   docker build -t hemi .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -v hemi:/run/hemi hemi

FROM debian:bookworm-slim AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        clang-19 lld-19 cmake ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev libuv1-dev libconfig-dev \
        libseccomp-dev libcjson-dev libunistring-dev check && rm -rf /var/lib/apt/lists/*
COPY . /src
WORKDIR /src
RUN cmake --preset release && ninja -C build/release bin/hemid bin/hemi && \
        strip build/release/bin/hemid build/release/bin/hemi build/release/lib/libhemi.so.0

FROM debian:bookworm-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        libuv1 libprotobuf-c1 libconfig9 libseccomp2 libcjson1 libunistring2 && rm -rf /var/lib/apt/lists/* && \
        install -d -o 10001 -g 10001 -m 0755 /run/hemi
COPY --from=build /src/build/release/bin/hemid /src/build/release/bin/hemi /usr/bin/
COPY --from=build /src/build/release/lib/libhemi.so.0 /usr/lib/
COPY deploy/container.conf /etc/hemi/hemid.conf
USER 10001:10001
VOLUME /run/hemi
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["/usr/bin/hemi", "ping", "--socket", "/run/hemi/hemi.sock"]
ENTRYPOINT ["/usr/bin/hemid"]
CMD ["--config", "/etc/hemi/hemid.conf"]

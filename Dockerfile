# A small image of hemid and hemi. It serves one tenant on a socket in /run/hemi, which is to be mounted: share that
# directory (never the socket file) with the clients. Runs as a non-root user, with a read-only root:
#
#   docker build -t hemi .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges -v hemi:/run/hemi hemi
#
# The image holds the two programs, the libraries they need and a configuration, no shell. `./dev image` tries the same
# root without Docker.

FROM debian:bookworm-slim AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        clang-19 lld-19 libclang-rt-19-dev cmake ninja-build pkg-config protobuf-c-compiler libprotobuf-c-dev \
        libuv1-dev libconfig-dev libseccomp-dev libcjson-dev libunistring-dev libsimde-dev check git && \
        rm -rf /var/lib/apt/lists/*
COPY . /src
WORKDIR /src
RUN cmake --preset release && ninja -C build/release bin/hemid bin/hemi && deploy/root.sh build/release /image && \
        mkdir /socket

FROM scratch
COPY --from=build /image/ /
COPY --from=build --chown=10001:10001 /socket/ /run/hemi/
USER 10001:10001
VOLUME /run/hemi
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["/usr/bin/hemi", "ping", "--socket", "/run/hemi/hemi.sock"]
ENTRYPOINT ["/usr/bin/hemid"]
CMD ["--config", "/etc/hemi/hemid.conf"]

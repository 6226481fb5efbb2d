# Alpine's target is musl, which links statically: the image below needs
# nothing but the binary.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache gcc musl-dev
WORKDIR /src
COPY . .
# The caches are no part of the layer, so the binary is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin zonespread \
    && cp target/release/zonespread /zonespread

FROM scratch
LABEL org.opencontainers.image.title="zonespread" \
      org.opencontainers.image.description="Keeps pods spread over availability zones and brings them back after a zone recovers" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /zonespread /zonespread
# A number, so that runAsNonRoot can be verified without /etc/passwd.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/zonespread"]

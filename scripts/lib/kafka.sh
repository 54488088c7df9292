# shellcheck shell=bash
# A single Kafka node (broker and controller in one, KRaft) on the machine's JRE, from the jars of Maven Central.
# Everything it writes is below $BROKERS_DIR/kafka. Sourced after common.sh, packages.sh, process.sh.

KAFKA_VERSION=4.1.1
KAFKA_LIBS=${XDG_CACHE_HOME:-$HOME/.cache}/gantry/kafka-$KAFKA_VERSION
KAFKA_CLUSTER_ID=GantryTestCluster0000A

# Options of Java for nodes and tools of Kafka's. Where brokers are to be cheap it compiles quickly and collects with one thread: a node that
# lives for a minute takes much less of the processor.
KAFKA_JAVA=()
[[ -z ${GANTRY_BROKERS_CHEAP:-} ]] || KAFKA_JAVA=(-XX:TieredStopAtLevel=1 -XX:+UseSerialGC)

java_is_recent() {
  local version
  have java || return 1
  version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  [[ -n $version ]] && ((version >= 17))
}

need_java() {
  local version
  java_is_recent && return
  if have apt-get; then
    apt_refresh
    for version in 21 17; do
      apt_knows "openjdk-$version-jre-headless" || continue
      need_apt "the Java that Kafka runs on" "openjdk-$version-jre-headless"
      break
    done
  fi
  java_is_recent || die "Kafka $KAFKA_VERSION needs a Java of 17 or newer as 'java': install one, or start a Docker engine"
}

kafka_install() {
  need_java
  [[ -d $KAFKA_LIBS ]] && return
  need_apt "downloading Kafka $KAFKA_VERSION" maven
  have mvn || die "no Maven ('mvn') to download Kafka with: install it, or start a Docker engine"
  say "downloading Kafka $KAFKA_VERSION with Maven into $KAFKA_LIBS"
  # Filled aside and moved into place: an interrupted download never looks like a finished one.
  mkdir -p "${KAFKA_LIBS%/*}"
  local new
  new=$(mktemp -d "$KAFKA_LIBS.XXXXXX")
  (quietly mvn --batch-mode --strict-checksums --file "$REPO_ROOT/scripts/lib/kafka-pom.xml" \
    -Dkafka.version="$KAFKA_VERSION" -DincludeScope=runtime -DoutputDirectory="$new" \
    dependency:copy-dependencies) || { rm -rf "$new" && die "Maven could not download Kafka"; }
  chmod 755 "$new"
  mv -T "$new" "$KAFKA_LIBS" 2>/dev/null || rm -rf "$new"
}

kafka_configure() {
  local dir=$BROKERS_DIR/kafka
  mkdir -p "$dir/data" "$dir/log"
  cat >"$dir/server.properties" <<CONF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$KAFKA_CONTROLLER_PORT
listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT,PROXIED://127.0.0.1:$KAFKA_BEHIND_PROXY_PORT,TLS://127.0.0.1:$KAFKA_TLS_PORT,SECURE://127.0.0.1:$KAFKA_SECURE_PORT,SECUREPROXIED://127.0.0.1:$KAFKA_SECURE_BEHIND_PROXY_PORT,CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT
advertised.listeners=$(kafka_advertised)
listener.security.protocol.map=$KAFKA_PROTOCOLS
CONF
  kafka_settings "$dir" 1 >>"$dir/server.properties"
  kafka_security "$BROKERS_DIR/tls" >>"$dir/server.properties"
  kafka_prepare "$dir"
}

# kafka_settings DIRECTORY REPLICAS - what every node has, alone or in the cluster.
kafka_settings() {
  cat <<CONF
controller.listener.names=CONTROLLER
log.dirs=$1/data
# Retention goes by the records' own timestamps, and tests send old ones.
log.retention.ms=-1
auto.create.topics.enable=false
default.replication.factor=$2
offsets.topic.replication.factor=$2
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$2
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=$2
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# The controller holds the place of a killed broker for one session: a restart after SIGKILL waits that long.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
CONF
}

KAFKA_PROTOCOLS=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,TLS:SSL,SECURE:SASL_SSL,SECUREPROXIED:SASL_SSL,CONTROLLER:PLAINTEXT

kafka_advertised() {
  printf '%s,' "PLAINTEXT://127.0.0.1:$KAFKA_PORT" "PROXIED://127.0.0.1:$KAFKA_PROXY_PORT" \
    "TLS://127.0.0.1:$KAFKA_TLS_PORT" "SECURE://127.0.0.1:$KAFKA_SECURE_PORT"
  printf 'SECUREPROXIED://127.0.0.1:%s' "$KAFKA_SECURE_PROXY_PORT"
}

# kafka_security CERTIFICATES - the settings of the encrypted listeners. TLS asks for a certificate. SECURE asks for a log-in:
# the user of PLAIN is fixed, those of SCRAM are made with `kafka-configs`, and a bearer token needs no signature.
# SECUREPROXIED is the same for a proxy, with fewer ways in.
kafka_security() {
  local modules=org.apache.kafka.common.security
  cat <<CONF
ssl.keystore.type=PEM
ssl.keystore.location=$1/server-both.pem
ssl.truststore.type=PEM
ssl.truststore.location=$1/ca.pem
listener.name.tls.ssl.client.auth=required
listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.secure.plain.sasl.jaas.config=$modules.plain.PlainLoginModule required user_bridge="bridge-secret";
listener.name.secure.scram-sha-256.sasl.jaas.config=$modules.scram.ScramLoginModule required;
listener.name.secure.scram-sha-512.sasl.jaas.config=$modules.scram.ScramLoginModule required;
listener.name.secure.oauthbearer.sasl.jaas.config=$modules.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
listener.name.secureproxied.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secureproxied.scram-sha-512.sasl.jaas.config=$modules.scram.ScramLoginModule required;
CONF
}

# Kafka's own tool for users and settings, on the open listener.
kafka_configs() {
  java "${KAFKA_JAVA[@]}" -cp "$KAFKA_LIBS/*" kafka.admin.ConfigCommand --bootstrap-server "127.0.0.1:$KAFKA_PORT" "$@"
}

# kafka_prepare DIRECTORY - what a node needs beside its server.properties: logging and a formatted data directory.
kafka_prepare() {
  local dir=$1
  cat >"$dir/log4j2.properties" <<CONF
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = $dir/log/server.log
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c: %m%n
logger.kafka.name = kafka.server
logger.kafka.level = INFO
CONF
  [[ -f $dir/data/meta.properties ]] ||
    java "${KAFKA_JAVA[@]}" -cp "$KAFKA_LIBS/*" kafka.tools.StorageTool format \
      -t "$KAFKA_CLUSTER_ID" -c "$dir/server.properties" >>"$dir/log/format.log" 2>&1 ||
    { show_tail "$dir/log/format.log" && die "could not format Kafka's data directory"; }
}

kafka_start() { kafka_launch kafka 512m; }
kafka_evidence() { show_tail "$BROKERS_DIR/kafka/log/server.log"; }

# kafka_launch NAME HEAP - a node whose files are in $BROKERS_DIR/NAME.
kafka_launch() {
  launch "$1" java "${KAFKA_JAVA[@]}" "-Xmx$2" -XX:+ExitOnOutOfMemoryError \
    -Dlog4j2.configurationFile="$BROKERS_DIR/$1/log4j2.properties" \
    -cp "$KAFKA_LIBS/*" kafka.Kafka "$BROKERS_DIR/$1/server.properties"
}

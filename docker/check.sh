#!/usr/bin/env bash
# Builds the container image from this checkout, runs it locked down, asks it
# questions, stops and restarts it. For root on Debian 12; needs nothing but
# apt, the Rust toolchain and a way to the crates that Cargo.lock names.
#
#   docker/check.sh [CONTEXT]      CONTEXT: what to build, default this checkout
#
# DOSSIER_BIN     a client binary to use from the host (default: the image's own)
# DOSSIER_CHECK_HOSTILE  if set, the hostile requests of tests/hostile go to the
#                 container too, which builds that test
# DOSSIER_CHECK_REPRODUCIBLE  if set, the image is built once more without the
#                 engine's cache, and must have the same program and SBOM
# DOSSIER_PYTHON  a Python with grpcio: the client in examples/python asks too,
#                 with the stubs in DOSSIER_STUBS
# Caches live in ${XDG_CACHE_HOME:-~/.cache}/dossier/docker; remove to start afresh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
context=$(cd "${1:-$here/..}" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dossier/docker
image=dossier:check
server=http://127.0.0.1:50051
query='PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
SELECT ?l WHERE { <https://w3id.org/dossier/e/KR> rdfs:label ?l FILTER(lang(?l)="en") }'
tmp='' engine_pid='' bridge='' container='' volume='' updated='' client='' log='' host_client='' token=''
passed=0 told=''
image_bytes_max=40000000
# Put wherever a secret may be by mistake; no layer, log or answer may have it. Of the files the first is not for the build
# to see, and the second it sees: that one must not get from there into the image.
canary=canary-$$-$RANDOM$RANDOM
canary_files=("$context/docker/secrets/check-canary" "$context/src/check-canary.env")
mapfile -t bases < <(sed -n 's/^ARG [A-Z]*_IMAGE=//p' "$here/Dockerfile")

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }
ok() { passed=$((passed + 1)); say "ok: $*"; }
fail() {
    told=1
    say "FAILED: $*"
    if [[ -n $container ]]; then
        echo '--- the container said:'
        d logs --tail 30 "$container" 2>&1 || true
    fi
    if [[ -s $log ]]; then echo "--- end of $log:" && tail -n 40 "$log"; fi
    echo "$passed passed, 1 failed"
    exit 1
}
# Every call to the engine is bounded in time.
d() { timeout "${limit:-60}" "$client" "$@"; }

cleanup() {
    local rc=$?
    trap - EXIT
    set +e
    ((rc == 0)) || [[ -n $told ]] || say "FAILED: ended early, exit code $rc"
    rm -f "${canary_files[@]}"
    [[ -z $container ]] || d rm -f "$container" >/dev/null 2>&1
    [[ -z $volume ]] || d volume rm "$volume" >/dev/null 2>&1
    if [[ -n $engine_pid ]]; then end_process "$engine_pid"; fi
    [[ -z $bridge ]] || ip link del "$bridge" 2>/dev/null
    if [[ -n $tmp ]]; then
        awk -v t="$tmp/" 'index($5, t) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
            while read -r m; do umount -l "$m"; done
        rm -rf --one-file-system "$tmp"
    fi
    exit "$rc"
}
end_process() { # PID: ask, wait up to 20 s, then insist
    kill "$1" 2>/dev/null || return 0
    for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.2; done
    kill -9 "$1" 2>/dev/null || true
}

apt_update() {
    [[ -z $updated ]] || return 0
    say 'apt-get update'
    timeout 300 apt-get -q -o Acquire::Retries=3 update >"$log" 2>&1 || fail 'apt-get update'
    updated=1
}
install_missing() {
    local want=()
    command -v dockerd >/dev/null || want+=(docker.io iptables)
    command -v debootstrap >/dev/null || want+=(debootstrap)
    command -v ip >/dev/null || want+=(iproute2)
    # dockerd wants the parser where the kernel has AppArmor switched on.
    if grep -qs Y /sys/module/apparmor/parameters/enabled && ! command -v apparmor_parser >/dev/null; then
        want+=(apparmor)
    fi
    if ((${#want[@]})); then
        apt_update
        say "apt-get install ${want[*]}"
        DEBIAN_FRONTEND=noninteractive timeout 900 apt-get -q -o Acquire::Retries=3 install -y \
            --no-install-recommends "${want[@]}" >"$log" 2>&1 || fail "apt-get install ${want[*]}"
    fi
}
# A client that can drive BuildKit: one with buildx, or one from before Docker
# 23, which has it built in (Debian 12 ships 20.10 and no buildx package).
choose_client() {
    local c
    while read -r c; do
        if "$c" buildx version >/dev/null 2>&1 ||
            [[ $("$c" --version) =~ version\ ([0-9]+) && ${BASH_REMATCH[1]} -lt 23 ]]; then
            client=$c
            say "client $c: $("$c" --version)"
            return
        fi
    done < <(type -aP docker)
    fail 'no docker client here can use BuildKit (neither buildx nor a version before 23)'
}

pull() { # IMAGE
    limit=600 d pull -q "$1" >"$tmp/pull.log" 2>&1 && say "pulled $1" && return
    say "no $1 from a registry: $(tail -n 1 "$tmp/pull.log" | cut -c1-150)"
    return 1
}
usable_engine() { # does an engine answer that has, or can pull, both base images?
    local b
    limit=10 d info >/dev/null 2>&1 || return 1
    for b in "${bases[@]}"; do
        d image inspect "$b" >/dev/null 2>&1 || pull "$b" || return 1
    done
    say "engine in use: $(d version -f '{{.Server.Version}}')"
}

# ---- the checks ----
build() { # [ARGUMENT...]: of docker build
    local start=$SECONDS args=(--network host "$@") v
    for v in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        [[ -z ${!v:-} ]] || args+=(--build-arg "$v")
    done
    args+=(--build-arg "VERSION=$(sed -n 's/^version *= *"\(.*\)"/\1/p' "$context/Cargo.toml" | head -n 1)")
    args+=(--build-arg "REVISION=$(git -C "$context" rev-parse HEAD 2>/dev/null || echo unknown)")
    say "build $image from $context"
    mkdir -p "${canary_files[0]%/*}"
    tee "${canary_files[@]}" <<<"$canary" >/dev/null
    # One that the image takes over, such as by ARG and ENV, would be in its settings or its history.
    args+=(--build-arg "DOSSIER_TOKEN=$canary")
    log=$tmp/build.log
    DOCKER_BUILDKIT=1 limit=3000 d build --progress=plain "${args[@]}" \
        -f "$here/Dockerfile" -t "$image" "$context" >"$log" 2>&1 || fail 'docker build'
    log=
    rm -f "${canary_files[@]}"
    # As registries keep and tell it: packed. On the disk it is unpacked.
    local packed unpacked
    unpacked=$(d image inspect -f '{{.Size}}' "$image")
    limit=300 d save -o "$tmp/image.tar" "$image" || fail 'docker save'
    packed=$(gzip -c "$tmp/image.tar" | wc -c)
    ((packed < image_bytes_max)) || fail "the image has $packed bytes, packed, and may have $image_bytes_max"
    ok "image built in $((SECONDS - start)) s, $((packed / 1000000)) MB to pull, $((unpacked / 1000000)) MB on the disk"
    [[ -z $engine_pid ]] || d image prune -f --filter label=org.opencontainers.image.title=Dossier >/dev/null
}
expect() { # WHAT PATTERN COMMAND...: the command succeeds and a line of its output matches
    local what=$1 pattern=$2 out
    shift 2
    out=$(limit=20 "$@" 2>&1) || fail "$what: $out"
    grep -qE -- "$pattern" <<<"$out" || fail "$what: no \"$pattern\" in: $out"
    ok "$what"
}
layers() { # the image has the canary nowhere, and the binary in one of its layers
    local unpacked=$tmp/layers blob found=''
    mkdir -p "$unpacked"
    tar -C "$unpacked" -xf "$tmp/image.tar" || fail 'docker save'
    while read -r blob; do
        # All is read: a pipe that is closed early would count as a failure.
        if zcat -f "$blob" 2>/dev/null | grep -aF "$canary" >/dev/null; then fail "the image has the canary: $blob"; fi
        ! zcat -f "$blob" 2>/dev/null | grep -aF 'Dossier listens on' >/dev/null || found=1
    done < <(find "$unpacked" -type f)
    [[ -n $found ]] || fail 'the binary is in no layer'
    rm -rf "$unpacked" "$tmp/image.tar"
    ok 'no layer has the canary, nor do settings and history'
}
digests() { # of what the build has made
    local id file
    id=$(d create "$image")
    for file in usr/local/bin/dossier usr/share/doc/dossier/sbom.cdx.json; do
        d cp "$id:/$file" - | tar -xO | sha256sum | sed "s|-|$file|"
    done
    d rm "$id" >/dev/null
}
reproducible() {
    local first second
    first=$(digests)
    build --no-cache
    second=$(digests)
    [[ $first == "$second" ]] || fail "the second build made something else: $first, then $second"
    ok "built twice, the same: $first"
}
bill() { # the parts that the image names are those of Cargo.lock
    local bill=$tmp/sbom.cdx.json id part missing=()
    id=$(d create "$image")
    d cp "$id:/usr/share/doc/dossier/sbom.cdx.json" "$bill" >/dev/null || fail 'no SBOM in the image'
    d rm "$id" >/dev/null
    grep -q '"bomFormat": "CycloneDX"' "$bill" || fail 'the SBOM is not of CycloneDX'
    while read -r part; do
        grep -qF "\"pkg:cargo/${part/ v/@}\"" "$bill" || missing+=("$part")
    done < <(cd "$context" && cargo tree --locked --edges normal --prefix none --format '{p}' \
        --target "$(rustc -vV | sed -n 's/^host: //p')" | awk 'NR > 1 { print $1, $2 }' | sort -u)
    ((${#missing[@]} == 0)) || fail "the SBOM lacks ${missing[*]}"
    ok "the SBOM names all parts, $(grep -c '"purl": "pkg:cargo/' "$bill")"
}
refuses() { # without a token nobody is let in, and the message says how to make one
    local said
    ! said=$(limit=30 d run --rm --read-only -v "$volume:/data" --network none "$image" 2>&1) || fail 'it serves without tokens'
    grep -qF 'dossier token create --tokens /data/tokens.json' <<<"$said" || fail "without tokens it says: $said"
    ok 'without tokens it does not start, and says what to do'
}
make_token() { # as README.md has it
    token=$(limit=30 d run --rm --read-only -v "$volume:/data" --network none "$image" \
        token create --tokens /data/tokens.json --name me --role admin 2>"$tmp/token.err") || fail "token create: $(<"$tmp/token.err")"
    [[ $token == dossier_* ]] || fail 'token create makes no token'
    ok 'a token is made'
}
in_container() { # ARGUMENT...: of the client, with the token
    DOSSIER_TOKEN=$token d exec -e DOSSIER_TOKEN "$container" dossier --server "$server" "$@"
}
start() { # [ARGUMENT...]: of the image's program
    local start=$SECONDS net=(--network none) health
    [[ -n $engine_pid && -z $bridge ]] || net=(-p 127.0.0.1::50051)
    container=$(d create --label dossier.check --read-only --cap-drop ALL --security-opt no-new-privileges --memory 512m \
        --pids-limit 1024 --health-interval 2s -e DOSSIER_AS_OF=2019-08-27 -e "DOSSIER_PASSWORD=$canary" -v "$volume:/data" "${net[@]}" "$image" "$@" \
        2>"$tmp/create.err") ||
        fail "docker create: $(<"$tmp/create.err")"
    d start "$container" >/dev/null || fail 'docker start'
    until limit=10 d exec "$container" dossier health >/dev/null 2>&1; do
        [[ $(d inspect -f '{{.State.Running}}' "$container") == true ]] || fail 'the container ended before it was ready'
        ((SECONDS - start < 60)) || fail 'not ready within 60 s'
        sleep 0.2
    done
    ok "ready within $((SECONDS - start + 1)) s"
    until health=$(d inspect -f '{{.State.Health.Status}}' "$container") && [[ $health == healthy ]]; do
        ((SECONDS - start < 90)) || fail "the engine calls it $health after 90 s"
        sleep 0.2
    done
    ok 'the image'\''s health check says healthy'
}
ask() {
    expect 'get e:KR, inside the container' 'South Korea' in_container get e:KR
    expect 'SPARQL query, inside the container' '^"?South Korea"?\s*$' in_container query "$query" --output csv
    expect 'whoever has no token is turned away' 'CREDENTIALS_MISSING' \
        bash -c '! "$@"' '' timeout 20 "$client" exec "$container" dossier --server "$server" get e:KR
    published || return 0
    expect 'get e:KR, from the host through the published port' 'South Korea' \
        env "DOSSIER_TOKEN=$token" timeout 20 "$host_client" --server "http://$address" get e:KR
    [[ -z ${DOSSIER_PYTHON:-} ]] ||
        expect 'the Python client, from the host' '' env "DOSSIER_TOKEN=$token" timeout 120 "$DOSSIER_PYTHON" "$here/../examples/python/check.py" --server "$address"
}
published() { # sets address, where there is a network
    address=$(d port "$container" 50051/tcp 2>/dev/null | head -n 1) || address=''
    [[ -n $address ]] || say 'note: no bridge network here, so the published port is not asked'
    [[ -n $address ]]
}
told() { # nothing that it says has the canary
    local said
    said=$(d logs "$container" 2>&1; in_container info --output json)
    [[ -n $said ]] || fail 'it says nothing'
    local secret
    for secret in "$canary" "${token#dossier_}"; do
        ! grep -qF "$secret" <<<"$said" || fail 'the log or GetServerInfo has a secret'
    done
    ok 'neither the log nor GetServerInfo has the canary or the token'
}
hostile() { # the hostile set against the container, with its limit of memory
    local flag flags=() pid
    while read -r flag; do flags+=("$flag"); done < <(sed -n '/^const FLAGS/,/^];/s/^ *"\(--.*\)",$/\1/p' "$context/tests/hostile/main.rs")
    # Its requests have no token.
    start serve --listen 0.0.0.0:50051 --insecure --no-shipped-data "${flags[@]}"
    if published; then
        pid=$(d inspect -f '{{.State.Pid}}' "$container")
        log=$tmp/hostile.log
        (cd "$context" && DOSSIER_HOSTILE_SERVER=http://$address DOSSIER_HOSTILE_PID=$pid timeout 900 \
            cargo test --locked --test hostile hostile_requests -- --nocapture) >"$log" 2>&1 || fail 'hostile requests'
        ok "hostile requests: $(grep -cE ' +(Grpc|Http) ' "$log") answered, still alive"
        log=
    fi
    stop
}
confined() {
    local pid want usage
    pid=$(d inspect -f '{{.State.Pid}}' "$container")
    for want in 'Uid:\s65532\s65532' 'CapEff:\s0+$' 'CapBnd:\s0+$' 'NoNewPrivs:\s1'; do
        expect "process: ${want//\\s/ }" "$want" cat "/proc/$pid/status"
    done
    expect 'root file system is read-only' '^[0-9]+ [0-9]+ [^ ]+ [^ ]+ / ro[, ]' cat "/proc/$pid/mountinfo"
    if [[ $(d info -f '{{.MemoryLimit}}') == true ]]; then
        usage=$(d stats --no-stream --format '{{.MemUsage}}' "$container")
        [[ $usage == *' / 512MiB' ]] || fail "memory limit: $usage"
        ok "memory limit is in force, in use $usage"
        # Half of it for the graph, a quarter for queries, an eighth for what passes through.
        for want in "graphMemoryBytesMax $((512 << 19))" "queriesMemoryBytesMax $((512 << 18))" \
            "diffBytesMax $((512 << 17))"; do
            expect "its budget: $want" "\"${want/ /\": *\"}\"" in_container info --output json
        done
        for want in answer-memory-max request-memory-max; do
            expect "its budget: $want" "^$want = \"?$((512 << 17))\"?( |\$)" in_container config check
        done
    else
        say 'note: cgroups on this machine do not let the engine limit memory'
    fi
}
stop() { # [FILE]: for a copy of the volume, as README.md makes it
    local start=$SECONDS code
    d stop -t 10 "$container" >/dev/null || fail 'docker stop'
    code=$(d inspect -f '{{.State.ExitCode}}' "$container")
    [[ $code == 0 ]] || fail "exit code $code after SIGTERM (137: it had to be killed after 10 s)"
    ok "SIGTERM: exit code 0 after $((SECONDS - start)) s"
    [[ -z ${1:-} ]] || d cp "$container:/data" - >"$1" || fail 'a copy of the volume'
    d rm "$container" >/dev/null
    container=
}
restore() { # FILE: a copy, into a new volume, as README.md has it
    local id
    d volume rm "$volume" >/dev/null
    volume=$(d volume create --label dossier.check)
    id=$(d create -v "$volume:/data" "$image")
    d cp - "$id:/" <"$1" || fail 'the copy cannot be put into a volume'
    d rm "$id" >/dev/null
    ok "restored a copy of $(wc -c <"$1") bytes"
}

[[ $EUID == 0 ]] || { echo 'run as root' >&2; exit 1; }
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 1800 9 || { echo 'another run holds the lock for more than 30 minutes' >&2; exit 1; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
tmp=$(mktemp -d /tmp/dossier-check.XXXXXX)
log=$tmp/apt.log
[[ ${#bases[@]} == 2 ]] || fail 'the Dockerfile is expected to name two base images'
install_missing
log=
choose_client
if ! usable_engine; then
    # shellcheck source=engine.sh
    source "$here/engine.sh"
    start_engine
    own_bases
fi
build
expect 'image: user, port, volume, stop signal' '^65532:65532 .*50051/tcp.* .*/data.* SIGTERM$' d image inspect -f \
    '{{.Config.User}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.StopSignal}}' "$image"
# What an interrupted run may have left behind.
d container prune -f --filter label=dossier.check >/dev/null
d volume prune -f --filter label=dossier.check >/dev/null
for label in version:^0 revision:^[0-9a-f] 'licenses:^MIT OR Apache' source:^https title:. description:. vendor:. url:. documentation:.; do
    expect "image: label ${label%%:*}" "${label#*:}" d image inspect -f \
        "{{index .Config.Labels \"org.opencontainers.image.${label%%:*}\"}}" "$image"
done
layers
bill
[[ -z ${DOSSIER_CHECK_REPRODUCIBLE:-} ]] || reproducible
volume=$(d volume create --label dossier.check)
refuses
make_token
start
host_client=${DOSSIER_BIN:-$tmp/dossier}
[[ -n ${DOSSIER_BIN:-} ]] || d cp "$container:/usr/local/bin/dossier" "$tmp/dossier" >/dev/null
confined
ask
told
expect 'a write' 'revision' in_container update 'INSERT DATA { e:check rdfs:label "kept" }'
stop
say 'again, on the same volume'
start
expect 'what was written before' 'kept' in_container get e:check
stop "$tmp/dossier-data.tar"
say 'again, on a new volume with what was copied'
restore "$tmp/dossier-data.tar"
start
expect 'what was written before the copy' 'kept' in_container get e:check
stop
if [[ -n ${DOSSIER_CHECK_HOSTILE:-} ]]; then
    say 'again, under attack'
    d volume rm "$volume" >/dev/null
    volume=$(d volume create --label dossier.check)
    hostile
fi
echo "$passed passed, 0 failed"

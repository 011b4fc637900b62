# shellcheck shell=bash
# Part of check.sh, for machines where no engine answers that has, or can pull,
# the Dockerfile's base images: an engine of our own, and in it stand-ins for
# the base images if no registry can be reached. The stand-ins carry the tags
# that the Dockerfile names, and a label by which to tell them from the real
# ones. The build image is Debian's minimal system, gcc and this machine's Rust
# toolchain; the runtime image is a few Debian packages, less than the real one
# has, so what runs here runs there.

# From check.sh:
: "${bases:?}" "${tmp:?}" "${cache:?}"

# An engine of our own: its own data, socket and bridge, no change to the
# machine's firewall or forwarding (ports are published by docker's own proxy).
start_engine() {
    local driver old net=(--bridge none)
    old=$(cat "$cache/engine.pid" 2>/dev/null || true)
    if [[ -n $old ]] && grep -qsazF -- "$cache/engine" "/proc/$old/cmdline"; then
        say "ending the engine that an interrupted run left behind ($old)"
        end_process "$old"
    fi
    ip link del dossier-check 2>/dev/null || true
    if ip link add dossier-check type bridge 2>/dev/null; then
        bridge=dossier-check
        ip addr add 198.18.213.1/24 dev "$bridge" && ip link set "$bridge" up && net=(--bridge "$bridge")
    fi
    export DOCKER_HOST=unix://$tmp/docker.sock
    unset DOCKER_CONTEXT
    log=$tmp/dockerd.log
    for driver in overlay2 vfs; do
        dockerd --data-root "$cache/engine" --exec-root "$tmp/exec" --pidfile "$tmp/docker.pid" \
            --host "$DOCKER_HOST" --storage-driver "$driver" "${net[@]}" \
            --iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
            --containerd-namespace dossier-check --containerd-plugins-namespace dossier-check-plugins \
            >"$log" 2>&1 9>&- &
        engine_pid=$!
        echo "$engine_pid" >"$cache/engine.pid"
        for _ in $(seq 120); do
            if limit=5 d info >/dev/null 2>&1; then
                say "own dockerd $(d version -f '{{.Server.Version}}'), $driver, ${net[*]}"
                log=
                return
            fi
            kill -0 "$engine_pid" 2>/dev/null || break
            sleep 0.25
        done
        say "dockerd does not start with $driver: $(tail -n 1 "$log" | cut -c1-200)"
        end_process "$engine_pid"
        engine_pid=
    done
    fail 'dockerd does not start'
}

rust_home() { # the toolchain of the version that the builder's tag names, else the default one
    local t want
    IFS=:- read -r _ want _ <<<"${bases[0]}"
    for t in $(rustup toolchain list 2>/dev/null | cut -d' ' -f1); do
        if [[ $(rustc "+$t" -V) == "rustc $want"[.\ ]* ]]; then rustc "+$t" --print sysroot; return; fi
    done
    rustc --print sysroot
}
import() { # DIR NAME CHANGE...
    local dir=$1 name=$2 change args=()
    shift 2
    for change in "LABEL dossier.stand-in=$key" "$@"; do args+=(--change "$change"); done
    tar -C "$dir" --numeric-owner -c . | limit=300 d import "${args[@]}" - "$name" >/dev/null ||
        fail "docker import $name"
    rm -rf --one-file-system "$dir"
}
make_builder() {
    local root=$tmp/builder mirror rust=$1
    # shellcheck disable=SC2016  # the $( ) is apt's
    mirror=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        awk '$1 == "bookworm" && $2 == "main" { print $3; exit }')
    [[ -n $mirror ]] || fail "apt on this machine has no Debian bookworm, so a stand-in for ${bases[0]} cannot be made"
    say "stand-in ${bases[0]}: debootstrap + $("$rust/bin/rustc" -V)"
    mkdir -p "$cache/debs"
    timeout 900 debootstrap --variant=minbase --cache-dir="$cache/debs" \
        --include=gcc,libc6-dev,ca-certificates bookworm "$root" "$mirror" >"$log" 2>&1 || fail debootstrap
    install -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
    mkdir -p "$root/usr/local/cargo/bin" "$root/usr/local/rustup"
    tar -C "$rust" --exclude=./share --exclude=./lib/rustlib/src -c . | tar -C "$root/usr/local/rustup" -x
    ln -s /usr/local/rustup/bin/{cargo,rustc,rustdoc} "$root/usr/local/cargo/bin/"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root/usr/share/doc"
    import "$root" "${bases[0]}" 'ENV CARGO_HOME=/usr/local/cargo' \
        'ENV PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
}
make_runtime() {
    local root=$tmp/runtime deb
    say "stand-in ${bases[1]}: C library, libgcc, CA certificates, time zones"
    mkdir -p "$root" "$tmp/runtime-debs"
    (cd "$tmp/runtime-debs" && timeout 300 apt-get -q download base-files libc6 libgcc-s1 ca-certificates tzdata) \
        >"$log" 2>&1 || fail 'apt-get download'
    for deb in "$tmp"/runtime-debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
    rm -rf "$root"/usr/share/{doc,man,i18n,locale} "$root"/usr/lib/*/gconv
    mkdir -p "$root/etc/ssl/certs" "$root/home/nonroot"
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
    printf '%s\n' root:x:0:0:root:/root:/sbin/nologin nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin \
        nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >"$root/etc/passwd"
    printf '%s\n' root:x:0: nobody:x:65534: nonroot:x:65532: >"$root/etc/group"
    chown 65532:65532 "$root/home/nonroot"
    import "$root" "${bases[1]}" 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' 'USER 65532'
}
# Stand-ins are made in our own engine only, and again when the toolchain or
# the machine's CA certificates have changed.
own_bases() {
    local rust key n have
    rust=$(cd / && rust_home) || fail 'no Rust toolchain on this machine'
    key=1-$(cat <("$rust/bin/rustc" -vV) /etc/ssl/certs/ca-certificates.crt | sha256sum | cut -c1-16)
    log=$tmp/stand-in.log
    for n in 0 1; do
        have=$(d image inspect -f '{{index .Config.Labels "dossier.stand-in"}}' "${bases[n]}" 2>/dev/null || echo none)
        case $have in
            '') say "${bases[n]}: the real one" ;;
            "$key") say "${bases[n]}: stand-in, made earlier" ;;
            *)  pull "${bases[n]}" && continue
                apt_update
                if ((n == 0)); then make_builder "$rust"; else make_runtime; fi ;;
        esac
    done
    log=
}

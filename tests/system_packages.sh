#!/bin/sh
# Debian packages that the tests need: real browsers, a screen for the window and what Qt's xcb
# plugin links to, the fonts that layouts are measured with; proxies, network namespaces and
# systemd's checks of units for deploy/.
# As root they are installed; otherwise they are named.
set -eu
needed="chromium firefox-esr xvfb xdotool openbox xauth openssl
libegl1 libgl1 libxkbcommon0 libxkbcommon-x11-0 libdbus-1-3 libfontconfig1
fonts-dejavu-core fonts-noto-core
libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0
libxcb-render-util0 libxcb-shape0 libxcb-xinerama0
haproxy nginx iproute2 systemd"

if ! command -v dpkg-query >/dev/null; then
    echo "make test: no Debian here, so nothing is installed. The tests need the equivalents of:" $needed >&2
    exit 0
fi
missing=""
for package in $needed; do
    case "$(dpkg-query --show --showformat='${db:Status-Abbrev}' "$package" 2>/dev/null)" in
        ii*) ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "make test: missing Debian packages (install them as root, or some tests are skipped):$missing" >&2
    exit 0
fi
echo "Installing Debian packages (once):$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# The tests start the proxies themselves; as services these are not wanted, now or at the next boot.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
apt-get update -qq
apt-get install -qq -y --no-install-recommends --no-remove $missing >/dev/null
for service in haproxy nginx; do
    case "$missing " in
        *" $service "*) systemctl --quiet disable "$service" >/dev/null 2>&1 || true ;;
    esac
done

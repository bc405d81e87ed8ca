# Sourced after scripts/lib.sh: sets PM2_BIN, after installing PM2 7 from npm below build/ when it is not there.
# shellcheck shell=bash disable=SC2154
if [ -z "${PM2_BIN:-}" ]; then
    PM2_BIN=$top/build/pm2/node_modules/.bin/pm2
    if [ ! -x "$PM2_BIN" ]; then
        missing=()
        need npm npm
        [ ${#missing[@]} = 0 ] || as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy install --no-install-recommends npm
        mkdir -p "$top/build/pm2"
        npm install --prefix "$top/build/pm2" --no-audit --no-fund --silent pm2@7
    fi
fi

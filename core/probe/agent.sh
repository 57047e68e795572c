# What samples a device that has no Python: the agent's facts, samples and the cheap half of its sources.
# Any POSIX sh. It measures no link, and runs nothing that may hang, as it could not end it.

LC_ALL=C
PATH=$PATH:/usr/bin:/bin:/usr/sbin:/sbin
export LC_ALL PATH
system=$(uname -s)
left=15

# The inside of a JSON string; what is not ASCII is left out.
inside() {
    tr -cd '\11\12\40-\176' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' | awk '{ printf "%s\\n", $0 }'
}

field() {
    printf '"%s":"%s"' "$1" "$(printf '%s\n' "$2" | inside)"
}

memory() {
    if [ "$system" = Darwin ]; then
        field vm_stat "$(vm_stat)"
        printf ,
        field sysctl "$(sysctl -i vm.swapusage vm.loadavg iogpu.wired_limit_mb hw.memsize kern.memorystatus_vm_pressure_level)"
    else
        field meminfo "$(grep -E '^(MemTotal|MemAvailable|SwapTotal|SwapFree):' /proc/meminfo)"
        printf ,
        field loadavg "$(cat /proc/loadavg)"
    fi
}

facts() {
    if [ "$system" = Darwin ]; then
        about=$(field sysctl "$(sysctl -i hw.memsize machdep.cpu.brand_string hw.model hw.ncpu kern.osproductversion)")
    else
        about="$(field cpuinfo "$(grep -m 1 'model name' /proc/cpuinfo)"),$(field nproc "$(getconf _NPROCESSORS_ONLN)")"
        about=$(printf '%s' "$about" | sed -e 's/\("nproc":"[0-9]*\)\\n"/\1"/')
    fi
    printf '{"ev":"facts","system":"%s","node":"%s","release":"%s","machine":"%s","python":"","sources":{%s}}\n' \
        "$system" "$(uname -n)" "$(uname -r)" "$(uname -m)" "$about"
}

# look NAME PROGRAM ARGUMENT...: what it prints, or that it is not there.
look() {
    name=$1
    shift
    if command -v "$1" >/dev/null 2>&1; then
        printed=$("$@" 2>/dev/null </dev/null)
        code=$?
        printf '{"ev":"read","system":"%s","name":"%s","t":%s,"text":"%s","code":%s}\n' \
            "$system" "$name" "$(date +%s)" "$(printf '%s\n' "$printed" | inside)" "$code"
    else
        unread "$name" "there is no $1"
    fi
}

unread() {
    printf '{"ev":"read","system":"%s","name":"%s","t":%s,"problem":"%s"}\n' "$system" "$1" "$(date +%s)" "$2"
}

media() {
    for folder in /sys/class/net/*; do
        one=${folder##*/}
        printf '%s/type: %s\n' "$one" "$(cat "$folder/type")"
        [ ! -d "$folder/wireless" ] || printf '%s/wireless: 1\n' "$one"
        [ ! -L "$folder/device" ] || printf '%s/device: %s\n' "$one" "$(basename "$(readlink "$folder/device")")"
        [ ! -L "$folder/device/driver" ] ||
            printf '%s/driver: %s\n' "$one" "$(basename "$(readlink "$folder/device/driver")")"
    done
}

thunderbolt() {
    system_profiler SPThunderboltDataType -json | sed -e 's/^ *//'
}

look_around() {
    if [ "$system" = Darwin ]; then
        look hardware_ports networksetup -listallhardwareports
        look ifconfig ifconfig -a
        look thunderbolt thunderbolt
        look rdma_ctl rdma_ctl status
        look routes netstat -rn -f inet
        look power_settings pmset -g
    else
        look sysfs_net media
        look ip_addr ip -j addr
        look routes ip -j route
        unread sysfs_thunderbolt "there is no Python to read it with"
    fi
    unread ibv_devinfo "it may hang, and there is no Python to end it with"
}

# Beats come on stdin: each renews the lease, and its end is ours.
exec 3<&0
trap 'left=15' USR1
{
    while read -r beat <&3; do
        kill -USR1 $$ 2>/dev/null || exit
    done
    kill $$ 2>/dev/null
} &
beats=$!

facts
number=0
while [ "$left" -gt 0 ]; do
    printf '{"ev":"sample","system":"%s","seq":%s,"sources":{%s}}\n' "$system" "$number" "$(memory)"
    [ $((number % 30)) -ne 0 ] || look_around
    number=$((number + 1))
    left=$((left - 1))
    sleep 1
done
kill $beats 2>/dev/null
exit 3

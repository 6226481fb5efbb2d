#!/usr/bin/env bash
# `0 22 */2 * MON` is every second day and every Monday, too.
#
# Version   croner 4.0.3 (Rust) and robfig/cron 3.0.1 (Go, reads the schedules of CronJobs)
# Guess     As in crontab(5), where a day must match both fields if one of them starts
#           with a star: the Mondays that fall on odd days.
# Is        Only a bare star counts as one. Both libraries take the step for a list of days,
#           and of two lists a day of either will do.
# Matters   A maintenance window meant for one night in two weeks is open four nights in
#           seven. zonespread reads schedules as CronJobs do, and its field says so.
#
# Seen (starts of January 2026 from the first on):
#   croner: Thu 1, Sat 3, Mon 5, Wed 7, Fri 9, Sun 11, Mon 12
#   robfig/cron: Thu 1, Sat 3, Mon 5, Wed 7, Fri 9, Sun 11, Mon 12
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
expected='Thu 1, Sat 3, Mon 5, Wed 7, Fri 9, Sun 11, Mon 12'

mkdir -p "$temporary/rust/src" "$temporary/go"
cat >"$temporary/rust/Cargo.toml" <<'EOF'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
croner = { version = "=4.0.3", default-features = false, features = ["jiff"] }
jiff = "=0.2.46"
EOF
cat >"$temporary/rust/src/main.rs" <<'EOF'
fn main() {
    let schedule: croner::Cron = "0 22 */2 * MON".parse().unwrap();
    let begin: jiff::Zoned = "2026-01-01T00:00:00+00:00[UTC]".parse().unwrap();
    let starts = schedule.iter_after(begin).take(7).map(|start| start.strftime("%a %-d").to_string());
    println!("{}", starts.collect::<Vec<_>>().join(", "));
}
EOF
cat >"$temporary/go/main.go" <<'EOF'
package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

func main() {
	schedule, err := cron.ParseStandard("0 22 */2 * MON")
	if err != nil {
		panic(err)
	}
	var starts []string
	for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); len(starts) < 7; {
		at = schedule.Next(at)
		starts = append(starts, at.Format("Mon 2"))
	}
	fmt.Println(strings.Join(starts, ", "))
}
EOF
croner=$(cd "$temporary/rust" && cargo run --quiet)
expect croner "$expected" "$croner"
robfig=$(cd "$temporary/go" && go mod init finding 2>/dev/null && go get github.com/robfig/cron/v3@v3.0.1 2>/dev/null && go run .)
expect 'robfig/cron' "$expected" "$robfig"

//! Clocks that are not what one expects. That jumps change nothing is shown by the table, which is pure
//! (`crates/process/tests/table.rs`), and by `nothing_that_waits_reads_the_wall_clock`; here the clocks by which it waits
//! begin elsewhere, in a time namespace (time_namespaces(7)), where all its children and their clocks are too.

use phalanx_tests::{require_program, skip};

use crate::phalanx::Phalanx;

#[test]
fn in_a_time_namespace_timeouts_and_deadlines_are_what_they_are() {
    if require_program("unshare", "util-linux").is_none() {
        return;
    }
    // Years ahead, and as far back as there is time since this machine was started.
    let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux");
    let uptime: u64 = uptime.split('.').next().and_then(|seconds| seconds.parse().ok()).expect("seconds");
    for offset in ["100000000".to_owned(), format!("-{}", uptime / 2)] {
        let line = format!(
            "unshare --time --monotonic={offset} --boottime={offset} --fork \
             $PHALANX run -R exec -w n[1-2] -u 1 '[ %h = n1 ] || exec sleep 100; sleep 0.3; echo done'"
        );
        let ran = Phalanx::shell(&line).output();
        if ran.stderr().contains("unshare failed") {
            return skip("time namespaces are not permitted here");
        }
        assert_eq!((ran.status(), ran.stdout()), (Some(1), "n1: done\n".to_owned()), "{}", ran.stderr());
        assert!(ran.stderr().contains("n2: command timeout"), "{}", ran.stderr());
        ran.assert_nothing_left();
    }
}

//! Sweeps as steps of plans: every combination once, whoever is killed and however often the plan is played.

use std::collections::BTreeSet;

use phalanx_tests::wait_until;

use crate::play::Stage;

const PLAN: &str = "[[step]]\nname = 'campaign'\nsweep = { size = [1, 2, 3, 4], kind = ['a', 'b'] }\nqueue = 'queue'\n\
    steps = [{ name = 'measure', local = 'test -e go || sleep 0.2; echo {{kind}}{{size}} {{combination}} >> done' }]\n";

fn distinct(text: &str) -> BTreeSet<&str> {
    text.lines().collect()
}

#[test]
fn a_campaign_goes_on_where_it_was_killed() {
    let stage = Stage::new(PLAN);
    let running = stage.play(&[]).start();
    wait_until("some are done", || stage.path("done").exists() && stage.read("done").lines().count() >= 2);
    running.signal("KILL");
    running.end().assert_nothing_left();
    stage.write("go", "");
    let ran = stage.play(&[]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    let done = stage.read("done");
    assert_eq!(distinct(&done).len(), 8, "{done}");
    // The one that was killed in the middle may have written before its end was recorded.
    assert!(done.lines().count() <= 9, "{done}");
    assert!(ran.stderr().contains("8 total, 8 done"), "{}", ran.stderr());
    let again = stage.play(&[]).output();
    assert_eq!((again.status(), stage.read("done")), (Some(0), done));
}

#[test]
fn two_players_share_a_campaign() {
    let stage = Stage::new(PLAN);
    let players = [stage.play(&[]).start(), stage.play(&[]).start()];
    for player in players {
        let ran = player.end();
        assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    }
    let done = stage.read("done");
    assert_eq!((distinct(&done).len(), done.lines().count()), (8, 8), "{done}");
}

#[test]
fn what_failed_is_tried_again_or_given_up() {
    let plan = |failed: &str| {
        format!(
            "[[step]]\nname = 's'\nsweep = {{ x = [1, 2, 3] }}\nqueue = 'queue'\n{failed}\n\
             steps = [{{ name = 'm', local = 'echo {{{{x}}}} >> tried; test {{{{x}}}} != 2 || test -e mended' }}]\n"
        )
    };
    for (failed, first, second, status) in [
        ("", "1\n2\n3\n", "1\n2\n3\n2\n", 0),
        ("failed = 'skip'", "1\n2\n3\n", "1\n2\n3\n", 0),
        ("failed = 'stop'", "1\n2\n", "1\n2\n2\n3\n", 0),
    ] {
        let stage = Stage::new(&plan(failed));
        assert_eq!(stage.play(&["-q"]).output().status(), Some(1), "{failed}");
        assert_eq!(stage.read("tried"), first, "{failed}");
        stage.write("mended", "");
        let ran = stage.play(&[]).output();
        assert_eq!((ran.status(), stage.read("tried").as_str()), (Some(status), second), "{failed}: {}", ran.stderr());
    }
}

#[test]
fn a_queue_that_cannot_be_is_said() {
    let stage = Stage::new(&PLAN.replace("'queue'", "'/proc/queue'"));
    let ran = stage.play(&[]).output();
    assert_eq!(ran.status(), Some(1));
    assert!(ran.stderr().contains("/proc/queue"), "{}", ran.stderr());
    assert!(!stage.path("done").exists());
}

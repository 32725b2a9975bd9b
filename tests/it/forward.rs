//! Forwarded ports, through a real OpenSSH server.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use phalanx_process::event::Kill;
use phalanx_process::forward::{ForwardError, PortForwarder};
use phalanx_process::ssh::SshOptions;
use phalanx_tests::{shared_fleet, wait_until};

use crate::phalanx::{Phalanx, kill};
use crate::ssh::{params, program};

/// A server on a port of its own that treats every connection, on a thread of its own, with `serve`.
fn server(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(connection));
        }
    });
    port
}

/// Sends back what it gets.
fn echo(mut connection: TcpStream) {
    let mut reader = connection.try_clone().expect("a descriptor");
    let _ = std::io::copy(&mut reader, &mut connection);
}

/// Blocks of 1 MiB of which no two are alike, and none is like itself shifted.
struct Blocks {
    block: Vec<u8>,
}

impl Blocks {
    fn new() -> Self {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        Self { block: (0..1 << 20).map(byte).collect() }
    }

    fn number(&mut self, number: u64) -> &[u8] {
        self.block[..8].copy_from_slice(&number.to_le_bytes());
        &self.block
    }
}

/// F1 and F4, items 86 to 88 and 90.
#[test]
fn a_gibibyte_passes_byte_for_byte_through_a_chosen_port() {
    const BLOCKS: u64 = 1024;
    let Some(fleet) = shared_fleet() else { return };
    let target = server(|mut connection| {
        let mut blocks = Blocks::new();
        for number in 0..BLOCKS {
            if connection.write_all(blocks.number(number)).is_err() {
                // The probe, which goes away again.
                return;
            }
        }
    });
    let forwarding = PortForwarder::new("node1", "localhost", target).params(params(fleet)).start().expect("forwarded");
    let mut connection = TcpStream::connect(forwarding.local_address()).expect("it listens");
    let (mut blocks, mut got) = (Blocks::new(), vec![0; 1 << 20]);
    for number in 0..BLOCKS {
        connection.read_exact(&mut got).expect("all of it");
        assert!(got == blocks.number(number), "MiB {number} differs");
    }
    assert_eq!(connection.read(&mut got).expect("the end is no error"), 0);
    assert!(forwarding.is_forwarding());
}

/// Item 89.
#[test]
fn it_is_ready_when_a_connection_goes_through_and_ends_with_its_guard() {
    let Some(fleet) = shared_fleet() else { return };
    let forwarding = PortForwarder::new("node1", "127.0.0.1", server(echo)).params(params(fleet)).start();
    let forwarding = forwarding.expect("forwarded");
    let address = forwarding.local_address();
    let mut connection = TcpStream::connect(&address).expect("it listens");
    connection.write_all(b"ping").expect("it takes it");
    let mut pong = [0; 4];
    connection.read_exact(&mut pong).expect("it answers");
    assert_eq!(&pong, b"ping");
    let pid = forwarding.process().pid().expect("it runs");
    drop(forwarding);
    wait_until("ssh is gone", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(TcpStream::connect(&address).is_err());
}

/// F2: execo says success.
#[test]
fn a_port_in_use_is_an_error_that_names_it() {
    let Some(fleet) = shared_fleet() else { return };
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = taken.local_addr().expect("bound").port();
    let forwarder = PortForwarder::new("node1", "localhost", 22).local_port(port).params(params(fleet));
    let error = forwarder.start().expect_err("it is taken");
    assert!(matches!(error, ForwardError::PortInUse { .. }), "{error}");
    assert!(
        error.to_string().starts_with(&format!("cannot forward 127.0.0.1:{port} through node1: that port is in use"))
    );
}

#[test]
fn an_address_of_somebody_else_cannot_be_listened_on() {
    let Some(fleet) = shared_fleet() else { return };
    let forwarder = PortForwarder::new("node1", "localhost", 22).bind_address("192.0.2.1").params(params(fleet));
    let error = forwarder.start().expect_err("not ours").to_string();
    assert!(error.contains("cannot listen on it: Cannot assign requested address"), "{error}");
}

/// To ssh, an empty address is all of them; and it says nothing of a name that has none.
#[test]
fn an_address_that_is_none_is_refused_before_ssh_is_asked() {
    let params = SshOptions { ssh: Some("/nowhere/ssh".into()), ..SshOptions::default() };
    for (address, said) in [("", "it is empty"), ("nowhere.invalid", "address")] {
        let forwarder = PortForwarder::new("node1", "localhost", 22).bind_address(address).params(params.clone());
        let error = forwarder.start().expect_err("it is none");
        assert!(matches!(error, ForwardError::BindAddress { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_target_that_refuses_is_told_apart_from_a_host_that_does() {
    let Some(fleet) = shared_fleet() else { return };
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback").port();
    let error = PortForwarder::new("node1", "localhost", port).params(params(fleet)).start().expect_err("refused");
    assert!(matches!(error, ForwardError::TargetRefused { .. }), "{error}");
    assert!(
        error.to_string().contains("node1 was reached, but not the target: connect failed: Connection refused"),
        "{error}"
    );
    let error = PortForwarder::new("refused1", "localhost", port).params(params(fleet)).start().expect_err("refused");
    assert!(matches!(error, ForwardError::HostNotReached { .. }), "{error}");
    assert!(error.to_string().contains("check that sshd runs"), "{error}");
    let unprobed = PortForwarder::new("node1", "localhost", port).params(params(fleet)).without_probe().start();
    assert!(unprobed.expect("nobody asked the target").is_forwarding());
}

/// F3, item 205.
#[test]
fn a_host_that_is_down_is_an_error_after_the_forwarding_timeout() {
    let Some(fleet) = shared_fleet() else { return };
    let forwarding_timeout = Some(Duration::from_secs(1));
    let params = SshOptions { forwarding_timeout, ..params(fleet) };
    let error = PortForwarder::new("silent1", "localhost", 22).params(params).start().expect_err("it is silent");
    assert!(matches!(error, ForwardError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains("the connection to the host did not happen within 1 s"), "{error}");
}

#[test]
fn a_missing_ssh_is_an_error() {
    let params = SshOptions { ssh: Some("/nowhere/ssh".into()), ..SshOptions::default() };
    let error = PortForwarder::new("node1", "localhost", 22).params(params).start().expect_err("there is none");
    assert!(error.to_string().contains("cannot start `/nowhere/ssh`"), "{error}");
}

/// A port that was free when it was chosen, and is taken when ssh asks for it.
#[test]
fn a_chosen_port_lost_in_a_race_is_replaced_by_another() {
    let Some(fleet) = shared_fleet() else { return };
    let directory = tempfile::tempdir().expect("a directory can be made");
    // An ssh that loses the race the first time.
    let lost = "bind [127.0.0.1]:$port: Address already in use\\nx: cannot listen to port: $port\\n";
    let script = format!(
        r#"if mkdir {0}/lost 2>/dev/null; then
            for word do case $word in 127.0.0.1:*) port=${{word#127.0.0.1:}}; port=${{port%%:*}};; esac; done
            printf "{lost}" >&2; exit 255
        fi
        exec ssh "$@""#,
        directory.path().display()
    );
    let ssh = program(directory.path(), "ssh", &script);
    let params = SshOptions { ssh: Some(ssh.into()), ..params(fleet) };
    let forwarding = PortForwarder::new("node1", "localhost", server(echo)).params(params).start().expect("the second");
    assert!(forwarding.is_forwarding() && directory.path().join("lost").exists());
}

#[test]
fn a_lost_connection_is_told_with_its_reason() {
    let Some(fleet) = shared_fleet() else { return };
    let forwarding = PortForwarder::new("node1", "localhost", server(echo)).params(params(fleet)).start();
    let forwarding = forwarding.expect("forwarded");
    forwarding.process().kill_with(Kill::NOW);
    assert_eq!(forwarding.wait().reason, "its ssh killed by SIGKILL");
    assert!(!forwarding.is_forwarding());
}

#[test]
fn phalanx_forward_says_where_it_listens_and_runs_until_it_is_stopped() {
    let Some(fleet) = shared_fleet() else { return };
    let target = format!("localhost:{}", server(echo));
    let config = fleet.ssh_config();
    let arguments = ["-F", config.to_str().expect("text"), "node1", &target];
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        let mut running = Phalanx::verb("forward", &arguments).start();
        let address = running.line().expect("the address");
        let mut connection = TcpStream::connect(&address).expect("it listens");
        connection.write_all(b"ping").expect("it takes it");
        connection.read_exact(&mut [0; 4]).expect("it answers");
        kill(signal, running.child.id());
        let ran = running.end();
        assert_eq!((ran.status(), ran.stderr()), (Some(status), String::new()));
        ran.assert_nothing_left();
    }
}

#[test]
fn phalanx_forward_tells_what_is_in_the_way() {
    let Some(fleet) = shared_fleet() else { return };
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let taken = taken.local_addr().expect("bound").port().to_string();
    let config = fleet.ssh_config();
    let config = config.to_str().expect("text");
    for (arguments, status, said) in [
        (vec!["-L", &taken, "node1", "localhost:1"], 1, "that port is in use here"),
        (vec!["node1", "localhost:1"], 1, "node1 was reached, but not the target"),
        (vec!["denied1", "localhost:1"], 1, "denied1: not reached: "),
        (vec!["--forwarding-timeout", "1", "silent1", "localhost:1"], 1, "did not happen within 1 s"),
        (vec!["node1", "localhost"], 2, "ADDRESS:PORT"),
        (vec!["-oX", "localhost:1"], 2, "required"),
    ] {
        let ran = Phalanx::verb("forward", &["-F", config]).args(&arguments).output();
        assert_eq!(ran.status(), Some(status), "{}", ran.stderr());
        assert!(ran.stderr().contains(said) && ran.stdout().is_empty(), "{}", ran.stderr());
        ran.assert_nothing_left();
    }
}

#[test]
fn phalanx_forward_says_why_the_connection_was_lost() {
    let Some(fleet) = shared_fleet() else { return };
    let target = format!("localhost:{}", server(echo));
    let mut running = Phalanx::verb("forward", &["-F"]).args([fleet.ssh_config()]).args(["node1", &target]).start();
    running.line().expect("the address");
    let id = running.child.id();
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).expect("it runs").flatten();
    let children = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let children: String = tasks.map(children).collect();
    let is_ssh = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "ssh\n");
    let ssh = children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_ssh).expect("its ssh");
    kill("KILL", ssh);
    let ran = running.end();
    assert_eq!(ran.status(), Some(1));
    assert!(ran.stderr().starts_with("phalanx: node1: connection lost: its ssh killed by SIGKILL"), "{}", ran.stderr());
    ran.assert_nothing_left();
}

#[test]
fn an_address_that_cannot_be_told_ends_phalanx_forward() {
    let Some(fleet) = shared_fleet() else { return };
    let config = fleet.ssh_config().display().to_string();
    let target = server(echo);
    let ran = Phalanx::shell(&format!("$PHALANX forward -F {config} node1 localhost:{target} > /dev/full")).output();
    assert_eq!(ran.status(), Some(3));
    assert!(ran.stderr().contains("cannot write the local address to stdout: No space left"), "{}", ran.stderr());
    ran.assert_nothing_left();
}

/// The word for a host is read by the same parser as everywhere: the port is not lost, nor taken for a part of the name.
#[test]
fn a_host_may_say_its_own_user_and_port_to_forward_through() {
    let Some(fleet) = shared_fleet() else { return };
    let ssh_config = std::fs::read_to_string(fleet.ssh_config()).expect("it is ours");
    let port = ssh_config.lines().filter_map(|line| line.trim().strip_prefix("Port ")).next_back().expect("a port");
    let target = server(echo).to_string();
    let forward = |host: &str| {
        let forward = Phalanx::verb("forward", &["-F"]).args([fleet.ssh_config()]);
        forward.args(["--forwarding-timeout", "10", host, &format!("localhost:{target}")])
    };
    let mut running = forward(&format!("node1:{port}")).start();
    assert!(running.line().is_some_and(|line| line.starts_with("127.0.0.1:")));
    running.signal("TERM");
    running.end();
    // That port of the same host has no server.
    let ran = forward("node1:1").output();
    assert!(ran.stderr().contains("port 1: Connection refused"), "{}", ran.stderr());
    for host in ["[::1]:1", "root@[::1]:1"] {
        let ran = forward(host).output();
        assert!(ran.stderr().contains("host ::1 port 1:"), "{}", ran.stderr());
    }
    for (host, said) in
        [("node1:0", "its port is not a number"), ("a b", "it has a blank"), ("u@-oX", "begins with a dash")]
    {
        let ran = forward(host).output();
        assert!(ran.status() == Some(2) && ran.stderr().contains(said), "{}", ran.stderr());
    }
}

//! Hosts and groups as other programs keep them: Ansible's inventories, pssh's host files, genders, /etc/hosts and Slurm.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::phalanx::Phalanx;

/// The hosts of a run, in order; what the log says is not looked at.
fn hosts(run: Phalanx) -> String {
    let ran = run.args(["-f", "1", "echo"]).output();
    assert_eq!(ran.status(), Some(0), "{}", ran.stderr());
    ran.stdout().lines().map(|line| line.trim_end_matches(": ").to_owned()).collect::<Vec<_>>().join(" ")
}

const INI: &str = "\
# the lab
lonely
[web]   # behind the proxy
www[01:02].lab   ansible_port=2222
n1 ansible_host=10.0.0.1 ansible_user=\"joe\"
[db]
db-[a:b] password='a # b'
; nothing
[lab:children]
web
db
[lab:vars]
ansible_user=root
[web:vars]
ansible_user = admin
[here]
localhost ansible_connection=local
";

const YAML: &str = "\
all:
  hosts:
    lonely:
  children:
    lab:
      vars: {ansible_user: root}
      children:
        web:
          hosts:
            www[01:02].lab: {ansible_port: 2222}
            n1: {ansible_host: 10.0.0.1, ansible_user: joe}
          vars: {ansible_user: admin, list: [1, 2]}
        db:
          hosts: {'db-[a:b]': }
    here:
      hosts: {localhost: {ansible_connection: local}}
";

const JSON: &str = r#"{"_meta": {"hostvars": {"n1": {"ansible_host": "10.0.0.1", "ansible_user": "joe"},
  "www01.lab": {"ansible_port": 2222, "ansible_user": "admin"}, "www02.lab": {"ansible_port": 2222, "ansible_user": "admin"},
  "db-a": {"ansible_user": "root"}, "db-b": {"ansible_user": "root"}, "localhost": {"ansible_connection": "local"}}},
  "all": {"children": ["ungrouped", "lab", "here"]}, "ungrouped": {"hosts": ["lonely"]}, "here": {"hosts": ["localhost"]},
  "lab": {"children": ["web", "db"]}, "web": {"hosts": ["www01.lab", "www02.lab", "n1"]}, "db": {"hosts": ["db-a", "db-b"]}}"#;

#[test]
fn an_ansible_inventory_means_the_same_in_each_of_its_forms() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    for (name, content) in [("lab.ini", INI), ("lab.yml", YAML), ("lab.json", JSON)] {
        let path = directory.path().join(name).display().to_string();
        fs::write(&path, content).expect("it is ours");
        let with = |arguments: &[&str]| hosts(Phalanx::exec(&["--inventory", &path]).args(arguments));
        let web = "admin@www01.lab:2222 admin@www02.lab:2222 joe@10.0.0.1";
        assert_eq!(with(&[]), format!("{web} lonely root@db-a root@db-b"), "{name}");
        assert_eq!(with(&["-a"]), with(&[]), "{name}");
        assert_eq!(with(&["-g", "web"]), web, "{name}");
        assert_eq!(with(&["-w", "@lab!@web"]), "root@db-a root@db-b", "{name}");
        assert_eq!(with(&["-g", "ungrouped,n1"]), "lonely joe@10.0.0.1", "{name}");
        assert_eq!(with(&["-w", "n1,other"]), "joe@10.0.0.1 other", "{name}");
        assert_eq!(with(&["-g", "lab", "-x", "@db,n1"]), "admin@www01.lab:2222 admin@www02.lab:2222", "{name}");
        // What is left out because it is not reached by ssh is said.
        let ran = Phalanx::exec(&["--inventory", &path, "true"]).output();
        assert!(
            ran.stderr().contains("`localhost`") && ran.stderr().contains("is reached by local"),
            "{}",
            ran.stderr()
        );
        // Where a host file is wanted, every word of it would be a host.
        let ran = Phalanx::exec(&["--hostfile", &path, "true"]).output();
        assert!(ran.status() == Some(2) && ran.stderr().contains("give it with --inventory"), "{}", ran.stderr());
    }
}

#[test]
fn a_host_file_of_pssh_names_users() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("hosts").display().to_string();
    fs::write(&path, "n1 root\n# c\n\nn2:22\nn3 joe\n").expect("it is ours");
    assert_eq!(hosts(Phalanx::exec(&["--inventory", &path])), "joe@n3 n2:22 root@n1");
    let ran = Phalanx::exec(&["--hostfile", &path, "true"]).output();
    assert!(ran.status() == Some(2) && ran.stderr().contains("give the file with --inventory"), "{}", ran.stderr());
}

#[test]
fn mistakes_in_an_inventory_have_a_place_and_a_reason() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().join("inv").display().to_string();
    for (content, said) in [
        ("[web]\nn1 ansible_port=x\n", "inv:2:1: of the host `n1`: `x` is not a port"),
        ("[web]\nn1\n[web:vars]\n  ansible_user={{ user }}\n", "inv:4:3: of the host `n1`"),
        ("[web]\nn1 ansible_host=-oProxyCommand=x\n", "inv:2:1: of the host `n1`"),
        ("[web]\n-oProxyCommand=x a=b\n", "begins with a dash"),
        ("[web:kids]\nn1\n", "inv:1:1: `:kids` is no kind of section"),
        ("[a:children]\nb\n[b:children]\na\n", "is among its own children"),
        ("[a:children]\nb\n", "the group `b`, a child of `a`, is not in the inventory"),
        ("[web]\nn1 n2\n", "inv:2:1: `n2` behind the host `n1` is not NAME=VALUE"),
        ("[web]\nn[3:1]\n", "inv:2:1: `[3:1]` in `n[3:1]` runs backwards"),
        ("[web]\nn1 a='b\n", "inv:2:1: a quote is not closed"),
        ("n1 a b\n", "inv:1:1: a host file of pssh has a host on each line"),
        ("all:\n  hosts:\n   n1: [\n", "this is no YAML"),
        ("all:\n  host:\n    n1:\n", "`all.host` is none of hosts, children and vars"),
        ("all:\n  hosts: 3\n", "`all.hosts` is not a mapping of hosts"),
    ] {
        fs::write(&path, content).expect("it is ours");
        let ran = Phalanx::exec(&["--inventory", &path, "true"]).output();
        assert!(ran.status() == Some(2) && ran.stderr().contains(said), "{said}: {}", ran.stderr());
    }
}

/// Programs that answer as Slurm's and genders' do, and refuse what they were not asked in the examples.
const PROGRAMS: [(&str, &str); 3] = [
    (
        "sinfo",
        "case \"$*\" in '--noheader --format=%N --partition=batch') echo 'n[1-2]';;\n\
         '--noheader --format=%N --partition=gpu') echo g1;; '--noheader --format=%N') echo 'g1,n[1-2]';;\n\
         '--noheader --format=%R') printf 'batch\\ngpu\\n';; '--noheader --Node --format=%R --nodes=n1') echo batch;;\n\
         '--noheader --format=%N --states=idle') echo 'n2';; '--noheader --format=%T') printf 'idle*\\ndown~\\nidle\\n';;\n\
         *) echo \"sinfo: $*\" >&2; exit 1;; esac",
    ),
    (
        "squeue",
        "case \"$*\" in '--noheader --format=%N --jobs=7') echo 'n[1-2]';;\n\
         '--noheader --format=%i --states=running') echo 7;; *) echo \"squeue: $*\" >&2; exit 1;; esac",
    ),
    (
        "nodeattr",
        "case \"$*\" in '-n io') printf 'n1\\nn2\\n';; '-n -A') printf 'n1\\nn2\\nn3\\n';; '-l') printf 'io\\nlogin\\n';;\n\
         '-l n1') echo io;; *) echo \"nodeattr: $*\" >&2; exit 1;; esac",
    ),
];

#[test]
fn the_upcalls_of_the_examples_know_genders_slurm_and_the_hosts_file() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = |name: &str| directory.path().join(name);
    for (name, script) in PROGRAMS {
        fs::write(path(name), format!("#!/bin/sh\n{script}\n")).expect("it is ours");
        fs::set_permissions(path(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    fs::write(
        path("hosts"),
        "127.0.0.1 localhost\n10.0.0.1 node1 node1.lab\n10.0.0.2\tnode2 # rack2\n10.0.0.9 gw\n10.0.1.1 ib-1\n",
    )
    .expect("it is ours");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/groups");
    for name in ["genders.conf", "slurm.conf", "hosts.conf"] {
        let text = fs::read_to_string(examples.join(name)).expect("the examples are there");
        fs::write(path(name), text.replace("/etc/hosts", &path("hosts").display().to_string())).expect("it is ours");
    }
    let configuration = path("etc");
    fs::create_dir(&configuration).expect("it is ours");
    let main = format!("[Main]\ndefault: genders\nconfdir: {}\n", directory.path().display());
    fs::write(configuration.join("groups.conf"), main).expect("it is ours");
    let search = format!("{}:/usr/bin:/bin", directory.path().display());
    let answer = |arguments: &[&str]| {
        let ran = Phalanx::verb("nodeset", arguments)
            .env("PATH", &search)
            .env("CLUSTERSHELL_CFGDIR", &configuration)
            .output();
        assert_eq!((ran.status(), ran.stderr()), (Some(0), String::new()), "{arguments:?}");
        ran.stdout().lines().collect::<Vec<_>>().join(" ")
    };
    for (arguments, expected) in [
        (&["-f", "@io"][..], "n[1-2]"),
        (&["-f", "-a"], "n[1-3]"),
        (&["-l"], "@io @login"),
        (&["-l", "n1"], "@io"),
        (&["-f", "@partition:batch,@partition:gpu"], "g1,n[1-2]"),
        (&["-f", "-a", "-s", "partition"], "g1,n[1-2]"),
        (&["-l", "-s", "partition"], "@partition:batch @partition:gpu"),
        (&["-f", "@state:idle"], "n2"),
        (&["-l", "-s", "state"], "@state:down @state:idle"),
        (&["-f", "@job:7"], "n[1-2]"),
        (&["-l", "-s", "job"], "@job:7"),
        (&["-f", "@hosts:node"], "node[1-2]"),
        (&["-f", "@hosts:nosuch"], ""),
        (&["-l", "-s", "hosts"], "@hosts:ib- @hosts:node"),
        (&["-f", "-a", "-s", "hosts"], "ib-1,node[1-2]"),
    ] {
        assert_eq!(answer(arguments), expected, "{arguments:?}");
    }
}

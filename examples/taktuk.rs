//! One command on many hosts through `taktuk`, which reaches them as a tree; see `phalanx::action::taktuk`.
//!
//! ```text
//! cargo run -p phalanx-examples --example taktuk -- 'uname -r' node1 node2 node3
//! cargo run -p phalanx-examples --example taktuk -- -F my_ssh_config 'uname -r' node1 node2
//! ```

use std::error::Error;

use phalanx::action::taktuk::TaktukRemote;
use phalanx::process::ssh::SshOptions;

#[expect(clippy::print_stdout, reason = "an example says what it found")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut params = SshOptions::default();
    if words.first().is_some_and(|word| word == "-F") && words.len() > 1 {
        params.ssh_config = words.drain(..2).nth(1).map(Into::into);
    }
    let mut words = words.into_iter();
    let command = words.next().ok_or("say what to run, and on which hosts")?;
    let action = TaktukRemote::new(command, words).params(params).build()?.run();
    for process in action.processes() {
        let host = process.host().unwrap_or_default();
        match process.error() {
            Some(error) => println!("{host}: {error}"),
            None => print!("{host}: {}", String::from_utf8_lossy(&process.stdout())),
        }
    }
    println!("{} of {} are ok", action.stats().ok, action.processes().len());
    Ok(())
}

//! `-b`: identical output once, under the folded names of the hosts it came from, as `clush -b` prints it.
//!
//! Groups come by ascending status, then the largest first, then in the order of the hosts. What goes to stdout is
//! gathered apart from what goes to stderr. Hosts without output are not shown. Unlike clush, hosts that timed out are.

use std::collections::HashMap;
use std::rc::Rc;

use phalanx_process::event::Stream;
use phalanx_process::result::HostResult;

use super::OutputError;
use super::console::Console;
use super::step_state::{StepState, folded};
use crate::exit;

const RULE: &str = "---------------";

/// What has been said so far. Identical outputs of ended hosts are kept once.
#[derive(Debug, Default)]
pub(super) struct Gather {
    growing: HashMap<(usize, Stream), Vec<u8>>,
    groups: HashMap<Group, Vec<usize>>,
    texts: HashMap<Rc<[u8]>, ()>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Group {
    stream: Stream,
    status: u8,
    text: Rc<[u8]>,
}

impl Gather {
    pub(super) fn append(&mut self, host: usize, stream: Stream, bytes: &[u8]) {
        self.growing.entry((host, stream)).or_default().extend_from_slice(bytes);
    }

    /// What a host has said belongs to an attempt that failed; there will be another.
    pub(super) fn forget(&mut self, host: usize) {
        [Stream::Stdout, Stream::Stderr].iter().for_each(|stream| drop(self.growing.remove(&(host, *stream))));
    }

    /// A host will say no more.
    pub(super) fn end(&mut self, host: usize, result: &HostResult) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let Some(mut text) = self.growing.remove(&(host, stream)) else { continue };
            if !text.ends_with(b"\n") {
                text.push(b'\n');
            }
            let text = self.intern(text);
            self.groups.entry(Group { stream, status: exit::of_result(result), text }).or_default().push(host);
        }
    }

    fn intern(&mut self, text: Vec<u8>) -> Rc<[u8]> {
        if let Some((known, ())) = self.texts.get_key_value(&text[..]) {
            return Rc::clone(known);
        }
        let text: Rc<[u8]> = text.into();
        self.texts.insert(Rc::clone(&text), ());
        text
    }

    /// Shows all groups, then what became of the members that are not ok.
    pub(super) fn show(self, state: &StepState, quiet: bool, console: &mut Console) -> Result<(), OutputError> {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        for (_, hosts) in &mut groups {
            hosts.sort_unstable();
        }
        groups.sort_by_key(|(group, hosts)| (group.stream, group.status, std::cmp::Reverse(hosts.len()), hosts[0]));
        for (group, hosts) in groups {
            let names = folded(state.members(), hosts.iter().copied(), !quiet);
            let header = format!("{RULE}\n{names}\n{RULE}\n");
            let append = |to: &mut Vec<u8>| {
                to.extend_from_slice(header.as_bytes());
                to.extend_from_slice(&group.text);
            };
            match group.stream {
                Stream::Stdout => console.write_stdout(append)?,
                Stream::Stderr => console.write_stderr(append)?,
            }
        }
        if quiet {
            return Ok(());
        }
        show_results(state, console)
    }
}

/// Shows one line for all members with the same result.
fn show_results(state: &StepState, console: &mut Console) -> Result<(), OutputError> {
    let mut groups: HashMap<&HostResult, Vec<usize>> = HashMap::new();
    for (member, result) in state.results().filter(|(_, result)| !result.is_ok()) {
        groups.entry(result).or_default().push(member);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(result, members)| (exit::of_result(result), members[0]));
    for (result, members) in groups {
        console.message(&format!("{}: {result}", folded(state.members(), members.into_iter(), true)))?;
    }
    Ok(())
}

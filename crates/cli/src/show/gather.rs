//! `-b`: identical output once, under the folded names of the hosts it came from, as `clush -b` prints it.
//!
//! Groups come by ascending status, then the largest first, then in the order of the hosts. What goes to stdout is
//! gathered apart from what goes to stderr. Hosts without output are not shown. Unlike clush, hosts that timed out are.

use std::collections::HashMap;
use std::rc::Rc;

use phalanx_process::event::Stream;
use phalanx_process::result::HostResult;

use super::screen::Screen;
use super::{ShowError, folded};
use crate::exit;
use crate::run::{Plan, Tally};

const RULE: &str = "---------------";

/// What has been said so far. Identical outputs of ended hosts are kept once.
#[derive(Debug, Default)]
pub(crate) struct Gather {
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
    pub(crate) fn append(&mut self, host: usize, stream: Stream, bytes: &[u8]) {
        self.growing.entry((host, stream)).or_default().extend_from_slice(bytes);
    }

    /// What a host has said belongs to an attempt that failed; there will be another.
    pub(crate) fn forget(&mut self, host: usize) {
        [Stream::Stdout, Stream::Stderr].iter().for_each(|stream| drop(self.growing.remove(&(host, *stream))));
    }

    /// A host will say no more.
    pub(crate) fn end(&mut self, host: usize, verdict: &HostResult) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let Some(mut text) = self.growing.remove(&(host, stream)) else { continue };
            if !text.ends_with(b"\n") {
                text.push(b'\n');
            }
            let text = self.intern(text);
            self.groups.entry(Group { stream, status: exit::of_result(verdict), text }).or_default().push(host);
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

    /// Shows all groups, then what became of the hosts that are not ok.
    pub(crate) fn show(self, plan: &Plan, tally: &Tally, quiet: bool, screen: &mut Screen) -> Result<(), ShowError> {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        for (_, hosts) in &mut groups {
            hosts.sort_unstable();
        }
        groups.sort_by_key(|(group, hosts)| (group.stream, group.status, std::cmp::Reverse(hosts.len()), hosts[0]));
        for (group, hosts) in groups {
            let names = folded(plan, hosts.iter().copied(), !quiet);
            let header = format!("{RULE}\n{names}\n{RULE}\n");
            let append = |to: &mut Vec<u8>| {
                to.extend_from_slice(header.as_bytes());
                to.extend_from_slice(&group.text);
            };
            match group.stream {
                Stream::Stdout => screen.write_stdout(append)?,
                Stream::Stderr => screen.write_stderr(append)?,
            }
        }
        if quiet { Ok(()) } else { show_verdicts(plan, tally, screen) }
    }
}

/// One line for all hosts with the same fate.
fn show_verdicts(plan: &Plan, tally: &Tally, screen: &mut Screen) -> Result<(), ShowError> {
    let mut fates: HashMap<&HostResult, Vec<usize>> = HashMap::new();
    for (host, verdict) in tally.verdicts().filter(|(_, verdict)| !verdict.is_ok()) {
        fates.entry(verdict).or_default().push(host);
    }
    let mut fates: Vec<_> = fates.into_iter().collect();
    fates.sort_by_key(|(verdict, hosts)| (exit::of_result(verdict), hosts[0]));
    for (verdict, hosts) in fates {
        screen.message(&format!("{}: {}", folded(plan, hosts.into_iter(), true), verdict.sentence()))?;
    }
    Ok(())
}

//! Groups and sources on stdout: `-l`, `-L`, `--list-sources`, `--completion`.

use super::Context;
use super::complaint::Complaint;
use super::sets::Set;
use phalanx_nodeset::{GroupError, GroupSource, Groups, NodeSet};
use std::io::Write;

impl Context<'_> {
    pub(super) fn list_sources(&self, out: &mut impl Write) -> Result<(), Complaint> {
        for (at, name) in self.source_names()?.iter().enumerate() {
            let mark = if at == 0 && !self.options.quiet { " (default)" } else { "" };
            writeln!(out, "{name}{mark}")?;
        }
        Ok(())
    }

    /// All sources, the one that `-s` makes the default first.
    fn source_names(&self) -> Result<Vec<String>, Complaint> {
        let names = self.groups.source_names().map_err(Complaint::Listing)?;
        let Some(chosen) = &self.options.source else { return Ok(names) };
        Ok([chosen].into_iter().chain(names.iter().filter(|name| *name != chosen)).cloned().collect())
    }

    /// What a shell may complete: `@source:` of every source but the default one, and the default one's groups.
    pub(super) fn complete(&self, out: &mut impl Write) -> Result<(), Complaint> {
        let names = self.source_names()?;
        for name in &names {
            writeln!(out, "@{name}:")?;
        }
        let Some(default) = names.first() else { return Ok(()) };
        let source = self.groups.source(Some(default)).map_err(Complaint::Listing)?;
        for group in self.parser.list_groups(source).map_err(Complaint::Listing)? {
            writeln!(out, "@{group}")?;
        }
        Ok(())
    }

    pub(super) fn list(&self, all_sources: bool, detail: u8, out: &mut impl Write) -> Result<(), Complaint> {
        let nodes = match self.set()? {
            Set::Nodes(nodes) => nodes,
            Set::Ranges(_) => NodeSet::new(),
        };
        if !all_sources {
            let source = self.groups.source(self.options.source.as_deref()).map_err(Complaint::Listing)?;
            return self.list_source(source, &nodes, detail, out);
        }
        for name in self.source_names()? {
            let source = self.groups.source(Some(&name)).map_err(Complaint::Listing)?;
            match self.list_source(source, &nodes, detail, out) {
                Err(Complaint::Listing(GroupError::NoUpcall { upcall, source_name })) => {
                    super::tell(&format!("Warning: No {upcall} upcall defined for group source {source_name}"));
                }
                result => result?,
            }
        }
        Ok(())
    }

    fn list_source(
        &self,
        source: &dyn GroupSource,
        nodes: &NodeSet,
        detail: u8,
        out: &mut impl Write,
    ) -> Result<(), Complaint> {
        if !nodes.is_empty() {
            return self.list_groups_of(source, nodes, detail, out);
        }
        for group in self.parser.list_groups(source).map_err(Complaint::Listing)? {
            let label = self.group_label(source.name(), &group);
            // Asked before anything of the line is written: the answer may be an error.
            let members = if detail > 1 { self.parser.nodes_of_group(source, &group)? } else { NodeSet::new() };
            match detail {
                1 => writeln!(out, "{label}")?,
                2 => writeln!(out, "{label} {members}")?,
                _ => writeln!(out, "{label} {members} {}", members.count())?,
            }
        }
        Ok(())
    }

    /// The groups that these nodes are in, and which of them.
    fn list_groups_of(
        &self,
        source: &dyn GroupSource,
        nodes: &NodeSet,
        detail: u8,
        out: &mut impl Write,
    ) -> Result<(), Complaint> {
        for (group, members) in self.parser.groups_meeting(nodes, source)? {
            let label = self.group_label(source.name(), &group);
            let common = members.intersection(nodes);
            match detail {
                1 => writeln!(out, "{label}")?,
                2 => writeln!(out, "{label} {common}")?,
                _ => writeln!(out, "{label} {common} {}/{}", common.count(), members.count())?,
            }
        }
        Ok(())
    }

    /// How a group is shown: with its source unless that goes without saying, or `-G` hides it.
    pub(super) fn group_label(&self, source: &str, group: &str) -> String {
        let without_saying = match &self.options.source {
            Some(_) => false,
            None => self.groups.default_source().is_ok_and(|default| default.as_deref() == Some(source)),
        };
        if without_saying || self.options.hide_source { format!("@{group}") } else { format!("@{source}:{group}") }
    }
}

//! Groups and sources on stdout: `-l`, `-L`, `--list-sources`, `--completion`.

use super::Context;
use super::complaint::Complaint;
use super::options::Command;
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

    /// What a shell may complete: `@source:` of every source unless `-s` has chosen one, that source's groups, and the nodes of the words
    /// typed so far.
    pub(super) fn complete(&self, out: &mut impl Write) -> Result<(), Complaint> {
        let names = self.source_names()?;
        if self.options.source.is_none() {
            names.iter().try_for_each(|name| writeln!(out, "@{name}:"))?;
        }
        if let Some(default) = names.first() {
            let source = self.groups.source(Some(default)).map_err(Complaint::Listing)?;
            for group in self.parser.list_groups(source).map_err(Complaint::Listing)? {
                writeln!(out, "{}", self.group_label(source.name(), &group))?;
            }
        }
        let nodes = self.set()?;
        if nodes.is_empty() { Ok(()) } else { self.show(nodes, &Command::Expand, out) }
    }

    pub(super) fn list(&self, all_sources: bool, detail: u8, out: &mut impl Write) -> Result<(), Complaint> {
        let nodes = match self.set()? {
            Set::Nodes(nodes) => nodes,
            Set::Ranges(_) => NodeSet::new(),
        };
        if !all_sources {
            let source = self.groups.source(self.options.source.as_deref()).map_err(Complaint::Listing)?;
            return self.list_source(source, &nodes, detail, &|group| self.group_label(source.name(), group), out);
        }
        for (at, name) in self.source_names()?.iter().enumerate() {
            let source = self.groups.source(Some(name)).map_err(Complaint::Listing)?;
            // The first is the default one, or the one that `-s` makes so, which goes without saying beside the others.
            let bare = at == 0 || self.options.hide_source;
            let label = |group: &str| if bare { format!("@{group}") } else { format!("@{name}:{group}") };
            match self.list_source(source, &nodes, detail, &label, out) {
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
        label: &dyn Fn(&str) -> String,
        out: &mut impl Write,
    ) -> Result<(), Complaint> {
        // Of no node there are no groups: a set that `-x` has emptied is not the absence of one.
        if !nodes.is_empty() || self.options.are_applied_to_nodes() {
            return self.list_groups_of(source, nodes, detail, label, out);
        }
        let axes = self.configured_axes()?;
        for group in self.parser.list_groups(source).map_err(Complaint::Listing)? {
            let label = label(&group);
            // Asked before anything of the line is written: the answer may be an error.
            let members = if detail > 1 { self.parser.nodes_of_group(source, &group)? } else { NodeSet::new() };
            match detail {
                1 => writeln!(out, "{label}")?,
                2 => writeln!(out, "{label} {}", members.folded().axes(&axes))?,
                _ => writeln!(out, "{label} {} {}", members.folded().axes(&axes), members.count())?,
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
        label: &dyn Fn(&str) -> String,
        out: &mut impl Write,
    ) -> Result<(), Complaint> {
        let axes = self.configured_axes()?;
        for (group, members) in self.parser.groups_meeting(nodes, source)? {
            let label = label(&group);
            let common = members.intersection(nodes);
            let folded = common.folded().axes(&axes);
            match detail {
                1 => writeln!(out, "{label}")?,
                2 => writeln!(out, "{label} {folded}")?,
                _ => writeln!(out, "{label} {folded} {}/{}", common.count(), members.count())?,
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

//! A set in terms of groups: `@compute,login1`.

use crate::groups::{GroupError, GroupSource, NodeSetError, illegal_in_group_name};
use crate::nodeset::NodeSet;
use crate::parser::Parser;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// A set as the groups that it wholly contains, and the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regrouped {
    /// The names of the groups, without source.
    pub groups: NodeSet,
    /// The nodes that no group covers.
    pub rest: NodeSet,
}

impl Parser<'_> {
    /// Returns the set in terms of the source's groups: those it wholly contains, the largest first and then by name,
    /// each only where none before has taken a node of it.
    ///
    /// # Errors
    /// When the source cannot answer. A source that cannot list its groups has none here, unless it knows the groups of a node.
    pub fn regroup(&self, set: &NodeSet, source: &dyn GroupSource) -> Result<Regrouped, NodeSetError> {
        let mut candidates: Vec<(Reverse<u128>, String, NodeSet)> = Vec::new();
        for (name, nodes) in self.groups_meeting(set, source)? {
            if set.is_superset(&nodes) {
                candidates.push((Reverse(nodes.count()), name, nodes));
            }
        }
        candidates.sort_unstable_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
        let mut rest = set.clone();
        let mut groups = Vec::new();
        for (_, name, nodes) in candidates {
            if rest.is_superset(&nodes) {
                rest = rest.difference(&nodes);
                groups.push(name);
            }
        }
        Ok(Regrouped { groups: groups.into_iter().collect(), rest })
    }

    /// Returns the groups of a source that have nodes of the set, by name, with all their nodes.
    ///
    /// # Errors
    /// As for [`regroup`](Self::regroup).
    pub fn groups_meeting(
        &self,
        set: &NodeSet,
        source: &dyn GroupSource,
    ) -> Result<Vec<(String, NodeSet)>, NodeSetError> {
        let mut meeting = Vec::new();
        for name in self.candidate_names(set, source)? {
            let nodes = self.nodes_of(source, &name)?;
            if !nodes.is_disjoint(set) {
                meeting.push((name, nodes));
            }
        }
        Ok(meeting)
    }

    /// Returns all groups of a source, by name, with their nodes.
    ///
    /// # Errors
    /// When the source cannot answer.
    pub fn nodes_of_group(&self, source: &dyn GroupSource, group: &str) -> Result<NodeSet, NodeSetError> {
        self.nodes_of(source, group)
    }

    /// Returns the names of a source's groups, in order.
    ///
    /// # Errors
    /// When the source cannot list its groups, or one has a name that could not be written in a node set.
    pub fn list_groups(&self, source: &dyn GroupSource) -> Result<BTreeSet<String>, GroupError> {
        let names = source.groups()?;
        match names.iter().find_map(|name| illegal_in_group_name(name)) {
            Some(illegal) => Err(GroupError::IllegalCharacter(illegal)),
            None => Ok(names.into_iter().collect()),
        }
    }

    /// Returns the groups worth a look. A source that knows a node's groups is asked about each node where those are
    /// fewer than the groups.
    fn candidate_names(&self, set: &NodeSet, source: &dyn GroupSource) -> Result<BTreeSet<String>, NodeSetError> {
        let listed = self.list_groups(source);
        let by_node =
            source.knows_reverse() && listed.as_ref().map_or(true, |listed| listed.len() as u128 >= set.count());
        if by_node {
            let mut names = BTreeSet::new();
            for node in set.iter() {
                names.extend(source.groups_of(&node).map_err(NodeSetError::Reverse)?.unwrap_or_default());
            }
            return Ok(names);
        }
        match listed {
            Ok(names) => Ok(names),
            Err(GroupError::NoUpcall { .. } | GroupError::QueryFailed(_)) => Ok(BTreeSet::new()),
            Err(other) => Err(other.into()),
        }
    }
}

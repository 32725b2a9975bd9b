//! Which hosts are meant: `-w`, `-x`, `-g`, `-a`, `--hostfile`, or the job this runs in. The same for every verb.
//!
//! The first that applies decides:
//!
//! 1. any of `-w`, `-g`, `-a`, `--hostfile`: all of these together, in the order given
//! 2. inside a Slurm or OAR job: the nodes of the job
//! 3. otherwise: wrong usage
//!
//! and then `-x` is taken away.

use std::collections::HashSet;

use phalanx_config::groups::{GroupResolver, HostListError, NodeList, wrong_with_name};
use phalanx_nodeset::{NodeSet, Parser};

/// The options that say which hosts.
#[derive(Debug, clap::Args)]
pub(crate) struct HostArgs {
    /// Hosts: a comma list with ranges and groups, such as node[1-99],@login; ^FILE reads a file
    #[arg(short = 'w', long = "nodes", value_name = "NODES")]
    nodes: Vec<String>,

    /// Hosts to leave out
    #[arg(short = 'x', long = "exclude", value_name = "NODES")]
    exclude: Vec<String>,

    /// Hosts of a group, as -w @GROUP
    #[arg(short = 'g', long = "group", value_name = "GROUP")]
    groups: Vec<String>,

    /// All hosts of the default group source
    #[arg(short = 'a', long)]
    all: bool,

    /// Hosts in a file, one node set a line; - is stdin
    #[arg(long, value_name = "FILE")]
    hostfile: Vec<String>,
}

/// Why there are no hosts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostsError {
    #[error("cannot understand the hosts in `{option} {given}`: {error}")]
    Wrong { option: &'static str, given: String, error: Box<HostListError> },
    #[error("cannot ask the job for its nodes: {0}")]
    Job(Box<HostListError>),
    #[error("there is no host to run on: give some with -w, and leave some of them with -x")]
    None,
    #[error("`{0}` cannot be the name of a host: it {1}")]
    BadName(String, &'static str),
}

impl HostArgs {
    /// Whether hosts were named, so that no job is to be asked.
    pub(crate) fn are_given(&self) -> bool {
        self.all || [&self.nodes, &self.groups, &self.hostfile].iter().any(|given| !given.is_empty())
    }

    /// Whether hosts are left out, of whatever they are left out of.
    pub(crate) fn are_excluded(&self) -> bool {
        !self.exclude.is_empty()
    }

    /// The hosts, each once, in the order given.
    ///
    /// # Errors
    /// When there are none, or one of the lists cannot be understood.
    pub(crate) fn hosts(&self) -> Result<Vec<String>, HostsError> {
        let hosts = usable(self.named()?)?;
        if hosts.is_empty() { Err(HostsError::None) } else { Ok(hosts) }
    }

    /// Those of `candidates` that are meant, in their own order: all, unless some hosts are named; less `-x`.
    ///
    /// # Errors
    /// When one of the lists cannot be understood, or one of the names cannot be that of a host.
    pub(crate) fn among(&self, mut candidates: Vec<String>) -> Result<Vec<String>, HostsError> {
        let nobody_named = self.nodes.is_empty() && self.groups.is_empty() && self.hostfile.is_empty() && !self.all;
        if nobody_named {
            let resolver = GroupResolver::standard();
            let excluded = self.excluded(&resolver, &Parser::new().groups(&resolver))?;
            candidates.retain(|host| excluded.is_empty() || !excluded.contains(host));
        } else {
            let named: HashSet<String> = self.named()?.into_iter().collect();
            candidates.retain(|host| named.contains(host));
        }
        usable(candidates)
    }

    /// The hosts of all lists less the excluded, each once, in the order given.
    fn named(&self) -> Result<Vec<String>, HostsError> {
        let resolver = GroupResolver::standard();
        let parser = Parser::new().groups(&resolver);
        let excluded = self.excluded(&resolver, &parser)?;
        let mut hosts = Vec::new();
        let mut seen = HashSet::new();
        for (option, given, list) in self.lists(&resolver)? {
            let names = list.in_input_order(&parser).map_err(|error| wrong(option, &given, error))?;
            let wanted = names.filter(|host| excluded.is_empty() || !excluded.contains(host));
            hosts.extend(wanted.filter(|host| seen.insert(host.clone())));
        }
        Ok(hosts)
    }

    fn excluded(&self, resolver: &GroupResolver, parser: &Parser<'_>) -> Result<NodeSet, HostsError> {
        self.exclude.iter().try_fold(NodeSet::new(), |excluded, given| {
            let set = NodeList::from_option(given, resolver).and_then(|list| list.set(parser));
            Ok(excluded.union(&set.map_err(|error| wrong("-x", given, error))?))
        })
    }

    /// Every list that was given, with what it was given by.
    fn lists(&self, resolver: &GroupResolver) -> Result<Vec<(&'static str, String, NodeList)>, HostsError> {
        let mut lists = Vec::new();
        for given in &self.nodes {
            let list = NodeList::from_option(given, resolver).map_err(|error| wrong("-w", given, error))?;
            lists.push(("-w", given.clone(), list));
        }
        for group in &self.groups {
            lists.push(("-g", group.clone(), NodeList::from_text(&format!("@{group}"), "-g")));
        }
        if self.all {
            lists.push(("-a", String::new(), NodeList::from_text("@*", "-a")));
        }
        for given in &self.hostfile {
            let list = NodeList::from_file(given).map_err(|error| wrong("--hostfile", given, error))?;
            lists.push(("--hostfile", given.clone(), list));
        }
        if lists.is_empty() {
            let job = NodeList::of_job().map_err(|error| HostsError::Job(error.into()))?.ok_or(HostsError::None)?;
            lists.push(("the job", String::new(), job));
        }
        Ok(lists)
    }
}

/// The hosts, if all their names can be those of hosts.
fn usable(hosts: Vec<String>) -> Result<Vec<String>, HostsError> {
    match hosts.iter().find_map(|host| Some((host, wrong_with_name(host)?))) {
        Some((host, reason)) => Err(HostsError::BadName(host.clone(), reason)),
        None => Ok(hosts),
    }
}

fn wrong(option: &'static str, given: &str, error: HostListError) -> HostsError {
    HostsError::Wrong { option, given: given.to_owned(), error: error.into() }
}

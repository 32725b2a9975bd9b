//! Which hosts are meant: `-w`, `-x`, `-g`, `-a`, `--hostfile`, or the job this runs in. The same for every verb.
//!
//! The first that applies decides:
//!
//! 1. any of `-w`, `-g`, `-a`, `--hostfile`: all of these together, in the order given
//! 2. all hosts of the `--inventory`, whose groups are those that the others name
//! 3. the file that the variable `WCOLL` names, as for pdsh
//! 4. inside a Slurm or OAR job: the nodes of the job
//! 5. otherwise: wrong usage
//!
//! and then `-x` is taken away.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use phalanx_config::groups::{GroupResolver, HostListError, Inventory, NodeList};
use phalanx_nodeset::{GroupError, NodeSet, NodeSetError as SetError, Parser};
use phalanx_process::host::{Host, InvalidHost};

/// The variable in which pdsh's users keep the name of their host file.
const WCOLL: &str = "WCOLL";

/// The options that say which hosts.
#[derive(Debug, clap::Args)]
pub(crate) struct HostArgs {
    /// Hosts: a comma list with ranges and groups, such as node[1-99],@login; ^FILE reads a file
    #[arg(short = 'w', long = "nodes", value_name = "NODES")]
    nodes: Vec<String>,

    /// Hosts to leave out
    #[arg(short = 'x', long = "exclude", value_name = "NODES")]
    exclude: Vec<String>,

    /// Hosts of groups, separated by commas: -g web,db is -w @web,@db
    #[arg(short = 'g', long = "group", value_name = "GROUP")]
    groups: Vec<String>,

    /// All hosts of the default group source
    #[arg(short = 'a', long)]
    all: bool,

    /// Hosts in a file, one node set a line; - is stdin
    #[arg(long, value_name = "FILE")]
    hostfile: Vec<String>,

    /// An inventory of Ansible (INI, YAML) or a host file of pssh: its groups are @GROUP; without -w, -g and -a all its hosts
    #[arg(long, value_name = "FILE")]
    inventory: Option<String>,
}

/// Why there are no hosts.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostsError {
    #[error("cannot understand the hosts in `{option}{given}`: {error}")]
    Wrong { option: &'static str, given: Given, error: Box<HostListError> },
    #[error(
        "`{option}{given}` asks for a group, but there is no source of groups: write a groups.conf, or name hosts with -w"
    )]
    NoGroups { option: &'static str, given: Given },
    #[error("cannot ask the job for its nodes: {0}")]
    Job(Box<HostListError>),
    #[error("no hosts are named: name some with -w, -g, -a, --hostfile or --inventory")]
    NotNamed,
    #[error("no host is meant by `{option}{given}`")]
    Empty { option: &'static str, given: Given },
    #[error("no host is left: -x leaves out every host that was named ({0})")]
    AllExcluded(usize),
    #[error(
        "`-x{0}` leaves out hosts, and there is none of that name to leave out: files are not chosen with -x, so nothing was copied"
    )]
    ExcludesNone(Given),
    #[error(transparent)]
    BadName(#[from] InvalidHost),
}

/// What an option was given, as it stands behind it in an error message: not longer than a line, and fit for a terminal.
#[derive(Debug, Clone)]
pub(crate) struct Given(String);

impl fmt::Display for Given {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = 80;
        if !self.0.is_empty() {
            out.write_char(' ')?;
        }
        self.0.chars().take(MOST).flat_map(char::escape_debug).try_for_each(|char| out.write_char(char))?;
        if self.0.chars().nth(MOST).is_some() { out.write_char('…') } else { Ok(()) }
    }
}

/// One list as it was given.
struct Listed {
    option: &'static str,
    given: Given,
    list: NodeList,
}

impl HostArgs {
    /// Whether hosts were named, so that no job is to be asked.
    pub(crate) fn are_given(&self) -> bool {
        self.all
            || self.inventory.is_some()
            || [&self.nodes, &self.groups, &self.hostfile].iter().any(|given| !given.is_empty())
    }

    /// Whether hosts are left out, of whatever they are left out of.
    pub(crate) fn are_excluded(&self) -> bool {
        !self.exclude.is_empty()
    }

    /// The hosts, each once, in the order given. A name in `-x` that is none of them is warned of.
    ///
    /// # Errors
    /// When there are none, or one of the lists cannot be understood.
    pub(crate) fn hosts(&self) -> Result<Vec<String>, HostsError> {
        let (hosts, idle) = self.selected()?;
        for given in idle {
            log::warn!("`-x{given}` leaves out no host: there is none of that name");
        }
        Ok(hosts)
    }

    /// As [`HostArgs::hosts`], for what copies files: there a name in `-x` that is none of a host was likely meant for a file, which
    /// would be copied.
    ///
    /// # Errors
    /// As for [`HostArgs::hosts`], and when a name in `-x` is none of the hosts.
    pub(crate) fn hosts_to_copy(&self) -> Result<Vec<String>, HostsError> {
        let (hosts, idle) = self.selected()?;
        idle.into_iter().next().map_or(Ok(hosts), |given| Err(HostsError::ExcludesNone(given)))
    }

    /// Those of `candidates` that are meant, in their own order: all, unless some hosts are named; less `-x`.
    ///
    /// # Errors
    /// When one of the lists cannot be understood, or one of the names cannot be that of a host.
    pub(crate) fn among(&self, mut candidates: Vec<String>) -> Result<Vec<String>, HostsError> {
        candidates.iter().try_for_each(|name| name.parse::<Host>().map(drop))?;
        let resolver = self.resolver()?;
        let parser = Parser::new().groups(&resolver);
        if self.are_given() {
            let named: HashSet<String> = named(&self.lists(&resolver)?, &resolver)?.into_iter().collect();
            candidates.retain(|host| named.contains(host));
        }
        let excluded = self.excluded(&resolver, &parser)?;
        candidates.retain(|host| !excluded.iter().any(|(_, set)| leaves_out(set, host, &resolver)));
        Ok(candidates)
    }

    /// The hosts that are left, and what was given to `-x` and is the name of none of them.
    fn selected(&self) -> Result<(Vec<String>, Vec<Given>), HostsError> {
        let resolver = self.resolver()?;
        let parser = Parser::new().groups(&resolver);
        let excluded = self.excluded(&resolver, &parser)?;
        let lists = self.lists(&resolver)?;
        let mut hosts = named(&lists, &resolver)?;
        let idle = excluded.iter().filter(|(given, set)| {
            // That a group or a file has no host in common with others is nothing unusual.
            !given.starts_with(['^', '|'])
                && !given.contains(['@', '*', '?'])
                && !hosts.iter().any(|host| leaves_out(set, host, &resolver))
        });
        let idle: Vec<Given> = idle.map(|(given, _)| Given((*given).clone())).collect();
        let before = hosts.len();
        hosts.retain(|host| !excluded.iter().any(|(_, set)| leaves_out(set, host, &resolver)));
        match lists.into_iter().next() {
            _ if !hosts.is_empty() => Ok((hosts, idle)),
            Some(Listed { option, given, .. }) if before == 0 => Err(HostsError::Empty { option, given }),
            _ => Err(HostsError::AllExcluded(before)),
        }
    }

    /// The groups that node sets may name.
    fn resolver(&self) -> Result<GroupResolver, HostsError> {
        let resolver = GroupResolver::standard();
        let Some(path) = &self.inventory else { return Ok(resolver) };
        let inventory = Inventory::from_file(path);
        Ok(resolver.inventory(inventory.map_err(|error| wrong("--inventory", Given(path.clone()), error))?))
    }

    /// What each `-x` was given, and the hosts it means.
    fn excluded<'a>(
        &'a self,
        resolver: &GroupResolver,
        parser: &Parser<'_>,
    ) -> Result<Vec<(&'a String, NodeSet)>, HostsError> {
        let set = |given: &'a String| {
            let set = NodeList::from_option(given, resolver).and_then(|list| list.set(parser));
            Ok((given, set.map_err(|error| wrong("-x", Given(given.clone()), error))?))
        };
        self.exclude.iter().map(set).collect()
    }

    /// Every list that was given, with what it was given by.
    fn lists(&self, resolver: &GroupResolver) -> Result<Vec<Listed>, HostsError> {
        let nodes = self.nodes.iter().map(|given| ("-w", given.clone(), NodeList::from_option(given, resolver)));
        let groups = self.groups.iter().map(|given| ("-g", given.clone(), NodeList::from_groups(given)));
        let all = self.all.then(|| ("-a", String::new(), NodeList::from_groups("*")));
        let files = self.hostfile.iter().map(|given| ("--hostfile", given.clone(), NodeList::from_file(given)));
        let given = nodes.chain(groups).chain(all).chain(files);
        let lists = given.map(|(option, given, list)| listed(option, given, list)).collect::<Result<Vec<_>, _>>()?;
        if !lists.is_empty() {
            return Ok(lists);
        }
        if let Some(path) = &self.inventory {
            return Ok(vec![listed("--inventory", path.clone(), NodeList::from_groups("*"))?]);
        }
        if let Some(path) = std::env::var(WCOLL).ok().filter(|path| !path.is_empty()) {
            log::info!("the hosts are those of {path}, which {WCOLL} names");
            return Ok(vec![listed(WCOLL, path.clone(), NodeList::from_file(&path))?]);
        }
        let list = NodeList::of_job().map_err(|error| HostsError::Job(error.into()))?.ok_or(HostsError::NotNamed)?;
        Ok(vec![Listed { option: "the job", given: Given(String::new()), list }])
    }
}

fn listed(option: &'static str, given: String, list: Result<NodeList, HostListError>) -> Result<Listed, HostsError> {
    let given = Given(given);
    match list {
        Ok(list) => Ok(Listed { option, given, list }),
        Err(error) => Err(wrong(option, given, error)),
    }
}

/// The hosts of all lists, each once.
fn named(lists: &[Listed], resolver: &GroupResolver) -> Result<Vec<String>, HostsError> {
    let parser = Parser::new().groups(resolver);
    let (mut hosts, mut seen) = (Vec::new(), HashSet::new());
    for Listed { option, given, list } in lists {
        let names = list.hosts(&parser).map_err(|error| wrong(option, given.clone(), error))?;
        // A name that the inventory knows is that host, as if it had come by one of its groups.
        let names = names.into_iter().map(|name| resolver.host_in_inventory(&name).map_or(name.clone(), str::to_owned));
        hosts.extend(names.filter(|host| seen.insert(host.clone())));
    }
    Ok(hosts)
}

/// Whether a host is in a set of what is left out, by its name, its address or its name in the inventory: `-x node1` also leaves out
/// `root@node1:22`.
fn leaves_out(set: &NodeSet, host: &str, resolver: &GroupResolver) -> bool {
    resolver.names_in_inventory(host).any(|name| set.contains(name))
        || set.contains(host)
        || set.contains(Host::from(host).address())
}

fn wrong(option: &'static str, given: Given, error: HostListError) -> HostsError {
    let asked = match &error {
        HostListError::NodeSet {
            error: SetError::Source(error) | SetError::AllNodes(error) | SetError::Group { error, .. },
            ..
        } => Some(error),
        _ => None,
    };
    if asked.is_some_and(GroupError::is_without_sources) {
        return HostsError::NoGroups { option, given };
    }
    HostsError::Wrong { option, given, error: error.into() }
}

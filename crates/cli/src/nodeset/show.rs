//! A set on stdout: counted, expanded, folded or in groups; whole or in parts; each node in a format.

use super::Context;
use super::complaint::Complaint;
use super::format::{Format, Value, separator};
use super::options::{AutostepChoice, Command};
use super::sets::{Operands, Set};
use phalanx_config::groups::configured_fold_axes;
use phalanx_nodeset::{Autostep, FoldAxes, Groups, NodeSet, RangeSet};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;

/// What `-S`, `-O`, `--autostep` and `--axis` say.
struct Style {
    format: Format,
    separator: String,
    autostep: Option<AutostepChoice>,
    axes: FoldAxes,
}

impl Context<'_> {
    fn style(&self) -> Result<Style, Complaint> {
        let separator = match &self.options.separator {
            Some(text) => separator(text).ok_or_else(|| Complaint::Other("invalid separator".to_owned()))?,
            None => " ".to_owned(),
        };
        let axes = match &self.options.axis {
            Some(axes) => axes.parse()?,
            None => self.configured_axes()?,
        };
        Ok(Style {
            format: Format::read(self.options.format.as_deref().unwrap_or("%s"))?,
            separator,
            autostep: self.options.autostep,
            axes,
        })
    }

    /// What ClusterShell's `defaults.conf` says of every folded set, also of those that listings show.
    pub(super) fn configured_axes(&self) -> Result<FoldAxes, Complaint> {
        configured_fold_axes().map_err(Complaint::Listing)
    }

    pub(super) fn show(&self, set: Set, command: &Command, out: &mut impl Write) -> Result<(), Complaint> {
        let style = self.style()?;
        let set = self.picked(self.sliced(set)?)?;
        match set {
            Set::Nodes(set) => self.show_nodes(&set, command, &style, out),
            Set::Ranges(set) => self.show_ranges(&set, command, &style, out),
        }
    }

    pub(super) fn sliced(&self, set: Set) -> Result<Set, Complaint> {
        let Some(positions) = &self.options.slice else { return Ok(set) };
        let positions: RangeSet = positions.parse()?;
        Ok(match set {
            Set::Nodes(set) => Set::Nodes(set.slice(&positions)),
            Set::Ranges(set) => Set::Ranges(set.slice(&positions)),
        })
    }

    pub(super) fn picked(&self, set: Set) -> Result<Set, Complaint> {
        let Some(count) = self.options.pick else { return Ok(set) };
        let negative = |_| Complaint::Other("Sample larger than population or is negative".to_owned());
        let count = u128::try_from(count).map_err(negative)?;
        Ok(match set {
            Set::Nodes(set) => Set::Nodes(set.pick(count, random())),
            Set::Ranges(set) => Set::Ranges(set.pick(count, random())),
        })
    }

    fn parts(&self) -> usize {
        self.options.split.and_then(|parts| usize::try_from(parts).ok()).unwrap_or(1).max(1)
    }

    fn show_nodes(
        &self,
        set: &NodeSet,
        command: &Command,
        style: &Style,
        out: &mut impl Write,
    ) -> Result<(), Complaint> {
        let autostep = style.autostep.map_or(Autostep::Never, |choice| choice.resolve(set.count()));
        let mut one = |part: &NodeSet| match command {
            Command::Count => style.write_count(part.count(), out),
            Command::Expand => style.write_expanded(part.iter(), out),
            Command::Regroup => self.write_regrouped(part, style, out),
            _ => style.write_folded(part, autostep, out),
        };
        if set.is_empty() {
            one(set)
        } else if self.options.contiguous {
            set.contiguous().try_for_each(|part| one(&part))
        } else if self.parts() > 1 {
            set.split(self.parts()).try_for_each(|part| one(&part))
        } else {
            one(set)
        }
    }

    fn show_ranges(
        &self,
        set: &RangeSet,
        command: &Command,
        style: &Style,
        out: &mut impl Write,
    ) -> Result<(), Complaint> {
        let autostep = style.autostep.map_or(Autostep::Never, |choice| choice.resolve(set.len()));
        let mut one = |part: &RangeSet| match command {
            Command::Count => style.write_count(part.len(), out),
            Command::Expand => style.write_expanded(part.iter(), out),
            _ => Ok(writeln!(out, "{}", style.format.apply(Value::Text(&part.folded(autostep).to_string()))?)?),
        };
        if set.is_empty() {
            one(set)
        } else if self.options.contiguous {
            set.contiguous().try_for_each(|part| {
                // ClusterShell's words for a run that ends with -1, which it cannot take out of a set.
                if part.iter().last().is_some_and(|last| last == "-1") {
                    return Err(Complaint::Other("Invalid range upper limit (0)".to_owned()));
                }
                one(&part)
            })
        } else if self.parts() > 1 {
            set.split(self.parts()).try_for_each(|part| one(&part))
        } else {
            one(set)
        }
    }

    fn write_regrouped(&self, set: &NodeSet, style: &Style, out: &mut impl Write) -> Result<(), Complaint> {
        let source = match self.groups.source(self.options.source.as_deref()) {
            Ok(source) => source,
            Err(error) => return Err(Complaint::Set(error.into())),
        };
        let regrouped = self.parser.regroup(set, source)?;
        let groups = regrouped.groups.iter().map(|group| self.group_label(source.name(), &group));
        let groups = NodeSet::from_names(groups).to_string();
        let rest = regrouped.rest.folded().axes(&style.axes).to_string();
        let both = [groups, rest].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(",");
        Ok(writeln!(out, "{}", style.format.apply(Value::Text(&both))?)?)
    }

    /// Where a node is in what `-I` leaves of the set.
    pub(super) fn show_index(&self, set: Set, name: &str, out: &mut impl Write) -> Result<(), Complaint> {
        let style = self.style()?;
        let position = match self.sliced(set)? {
            Set::Nodes(set) => {
                let node = self.parser.parse(name)?;
                let node = (node.count() == 1).then(|| node.iter().next()).flatten();
                let node = node.ok_or_else(|| Complaint::Other("index() argument must be a single node".to_owned()))?;
                set.position(&node).ok_or_else(|| format!("'{node}' is not in nodeset"))
            }
            Set::Ranges(set) => set.position(name).ok_or_else(|| format!("{name} is not in RangeSet")),
        };
        style.write_count(position.map_err(Complaint::Other)?, out)
    }

    /// The names as they were typed. The operations between operands have no order of their own, so they only take names away.
    pub(super) fn expand_in_input_order(&self, out: &mut impl Write) -> Result<(), Complaint> {
        let operands = Operands::new(self);
        let Set::Nodes(set) = self.picked(self.sliced(operands.set()?)?)? else {
            return Err(Complaint::Usage("--input-order is for nodes".to_owned()));
        };
        let mut typed: Vec<String> = Vec::new();
        let stdin = self.options.reads_stdin();
        for operand in self.options.operands.iter().map(String::as_str).chain(stdin.then_some("-")) {
            if operand == "-" {
                typed.extend(phalanx_nodeset::words(&operands.stdin()?).map(str::to_owned));
            } else {
                typed.extend(operand.lines().map(str::to_owned));
            }
        }
        let mut seen = HashSet::new();
        let mut names = Vec::new();
        for text in typed {
            names.extend(
                self.parser.parse_in_input_order(&text)?.filter(|name| set.contains(name) && seen.insert(name.clone())),
            );
        }
        // What came in another way than by an operand, such as -a, goes last.
        names.extend(set.iter().filter(|name| !seen.contains(name)));
        self.style()?.write_expanded(names.into_iter(), out)
    }
}

impl Style {
    fn write_count(&self, count: u128, out: &mut impl Write) -> Result<(), Complaint> {
        Ok(writeln!(out, "{}", self.format.apply(Value::Number(count))?)?)
    }

    /// Name by name, so that a million million names need no memory.
    fn write_expanded(&self, names: impl Iterator<Item = String>, out: &mut impl Write) -> Result<(), Complaint> {
        for (at, name) in names.enumerate() {
            if at > 0 {
                out.write_all(self.separator.as_bytes())?;
            }
            if self.format.is_plain() {
                out.write_all(name.as_bytes())?;
            } else {
                out.write_all(self.format.apply(Value::Text(&name))?.as_bytes())?;
            }
        }
        Ok(out.write_all(b"\n")?)
    }

    /// A format is applied to every node, and the results are folded again.
    fn write_folded(&self, set: &NodeSet, autostep: Autostep, out: &mut impl Write) -> Result<(), Complaint> {
        if self.format.is_plain() {
            // As one text first: the many small pieces would each pay for the way through an io::Write.
            let text = set.folded().autostep(autostep).axes(&self.axes).to_string();
            return Ok(out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"))?);
        }
        let named = set.iter().map(|name| self.format.apply(Value::Text(&name))).collect::<Result<NodeSet, _>>()?;
        Ok(writeln!(out, "{}", named.folded().autostep(autostep).axes(&self.axes))?)
    }
}

/// Random numbers below a bound, seeded by the system through the standard library's hash keys. Good for choosing nodes, not for secrets.
fn random() -> impl FnMut(u128) -> u128 {
    let keys = RandomState::new();
    let mut drawn = 0_u64;
    move |bound| {
        drawn += 2;
        let bits = u128::from(keys.hash_one(drawn)) << 64 | u128::from(keys.hash_one(drawn + 1));
        bits % bound.max(1)
    }
}

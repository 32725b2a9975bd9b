//! The operands as one set, of nodes or, with `-R`, of numbers.

use super::Context;
use super::complaint::Complaint;
use phalanx_nodeset::{NodeSet, RangeSet};
use std::cell::OnceCell;
use std::io::{self, Read};

/// What the operands make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Set {
    Nodes(NodeSet),
    Ranges(RangeSet),
}

/// What an operand does to the set before it.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Add,
    Exclude,
    Intersect,
    Xor,
}

impl Operation {
    /// The word that says it between operands. ClusterShell knows it there in these forms only; `-xNODES` is an operand.
    fn of(word: &str) -> Option<Operation> {
        match word {
            "-x" | "--exclude" => Some(Operation::Exclude),
            "-i" | "--intersection" => Some(Operation::Intersect),
            "-X" | "--xor" => Some(Operation::Xor),
            _ => None,
        }
    }
}

impl Set {
    fn apply(self, operation: Operation, right: Set) -> Set {
        if matches!(operation, Operation::Add) && self.is_empty() {
            return right;
        }
        match (self, &right) {
            (Set::Nodes(left), Set::Nodes(right)) => Set::Nodes(match operation {
                Operation::Add => left.union(right),
                Operation::Exclude => left.difference(right),
                Operation::Intersect => left.intersection(right),
                Operation::Xor => left.symmetric_difference(right),
            }),
            (Set::Ranges(left), Set::Ranges(right)) => Set::Ranges(match operation {
                Operation::Add => left.union(right),
                Operation::Exclude => left.difference(right),
                Operation::Intersect => left.intersection(right),
                Operation::Xor => left.symmetric_difference(right),
            }),
            _ => unreachable!("-R decides for all operands"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Set::Nodes(set) => set.is_empty(),
            Set::Ranges(set) => set.is_empty(),
        }
    }
}

/// Reads operands; stdin at most once, however often it is mentioned.
pub(super) struct Operands<'a> {
    context: &'a Context<'a>,
    stdin: OnceCell<String>,
}

impl<'a> Operands<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Self {
        Operands { context, stdin: OnceCell::new() }
    }

    fn empty(&self) -> Set {
        if self.context.options.ranges { Set::Ranges(RangeSet::new()) } else { Set::Nodes(NodeSet::new()) }
    }

    /// Everything that was typed, as one set.
    ///
    /// 1. With `-a`, all nodes; without operands, what stdin holds; else nothing.
    /// 2. The options `-i`, `-x` and `-X`, in this order whatever their order was. Applied to nothing they are pointless, and said to be.
    /// 3. The operands from left to right, with the operations between them.
    pub(super) fn set(&self) -> Result<Set, Complaint> {
        let options = self.context.options;
        let mut set = if options.all {
            Set::Nodes(self.context.parser.all_nodes(None)?)
        } else if options.reads_stdin() {
            self.one("-")?
        } else {
            self.empty()
        };
        let before = [
            (Operation::Intersect, &options.intersected),
            (Operation::Exclude, &options.excluded),
            (Operation::Xor, &options.xored),
        ];
        if !options.quiet && set.is_empty() && before.iter().any(|(_, operands)| !operands.is_empty()) {
            super::tell("WARNING: empty left operand for set operation");
        }
        for (operation, operands) in before {
            for operand in operands {
                set = set.apply(operation, self.one(operand)?);
            }
        }
        self.operands(set)
    }

    fn operands(&self, mut set: Set) -> Result<Set, Complaint> {
        let mut words = self.context.options.operands.iter();
        // Operands in a row are read as one list, because many small unions cost far more than one large.
        let mut row = Vec::new();
        while let Some(word) = words.next() {
            let Some(operation) = Operation::of(word) else {
                row.push(word.as_str());
                continue;
            };
            let right = words.next().ok_or_else(|| Complaint::Other("pop from empty list".to_owned()))?;
            set = set.apply(Operation::Add, self.union(&std::mem::take(&mut row))?);
            set = set.apply(operation, self.one(right)?);
        }
        Ok(set.apply(Operation::Add, self.union(&row)?))
    }

    fn union(&self, row: &[&str]) -> Result<Set, Complaint> {
        row.iter().try_fold(self.empty(), |set, operand| Ok(set.apply(Operation::Add, self.one(operand)?)))
    }

    /// One operand: `-` for stdin, else a set on every line.
    pub(super) fn one(&self, operand: &str) -> Result<Set, Complaint> {
        if operand == "-" {
            return self.words(&self.stdin()?);
        }
        let lines = operand.lines().filter(|line| !line.is_empty());
        if self.context.options.ranges {
            let union = |set: RangeSet, line: &str| Ok::<_, Complaint>(set.union(&line.parse()?));
            return lines.into_iter().try_fold(RangeSet::new(), union).map(Set::Ranges);
        }
        let union = |set: NodeSet, line: &str| Ok::<_, Complaint>(set.union(&self.context.parser.parse(line)?));
        lines.into_iter().try_fold(NodeSet::new(), union).map(Set::Nodes)
    }

    /// Sets between blanks and line ends.
    fn words(&self, text: &str) -> Result<Set, Complaint> {
        if !self.context.options.ranges {
            return Ok(Set::Nodes(self.context.parser.parse_words(text)?));
        }
        let sets = text.split_whitespace().map(str::parse).collect::<Result<Vec<RangeSet>, _>>()?;
        Ok(Set::Ranges(RangeSet::union_of(&sets)))
    }

    /// All of stdin, without comments.
    pub(super) fn stdin(&self) -> Result<String, Complaint> {
        if let Some(text) = self.stdin.get() {
            return Ok(text.clone());
        }
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|_| Complaint::Io(io::Error::other("stdin is not valid UTF-8")))?;
        let text = without_comments(text);
        Ok(self.stdin.get_or_init(|| text).clone())
    }
}

fn without_comments(text: String) -> String {
    if !text.contains('#') {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        kept.push_str(line.split('#').next().unwrap_or_default());
        kept.push('\n');
    }
    kept
}

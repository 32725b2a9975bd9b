//! Text into sets: [`Parser`].

use crate::builder::Builder;
use crate::error::{ParseError, ParseErrorKind};
use crate::glob;
use crate::groups::{GroupError, GroupSource, Groups, NodeSetError, illegal_in_group_name};
use crate::index_tree::{Budget, SetOp, TooFragmented};
use crate::input_order::{InputOrder, OperandNames};
use crate::nodeset::NodeSet;
use crate::pattern::push_text;
use crate::rangeset::{MAX_PIECES, RangeSet};
use crate::syntax::{Dialect, Operand, Operator, Token, operands, tokens, words};
use foldhash::HashMap;
use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;

/// Groups within groups within groups, so deep: more is a mistake.
const MAX_NESTING: usize = 64;

/// The most names that one group operand may stand for: `@rack[1-100000]`.
const MAX_GROUPS_IN_OPERAND: usize = 100_000;

/// Reads node sets, with a choice of dialect and with groups.
///
/// ```
/// use phalanx_nodeset::{Dialect, Parser};
/// let strict = Parser::new().dialect(Dialect::ClusterShell);
/// assert!(strict.parse("a[1-2][3-4]").is_err());
/// assert_eq!(Parser::new().parse("a[1-2][3-4]")?.to_string(), "a[13-14,23-24]");
/// # Ok::<(), phalanx_nodeset::NodeSetError>(())
/// ```
///
/// What groups contained is remembered for the life of the parser, so that one group is asked for once however often it is named.
#[derive(Clone, Default)]
pub struct Parser<'g> {
    dialect: Dialect,
    groups: Option<&'g dyn Groups>,
    default_source: Option<String>,
    known: RefCell<HashMap<(String, String), NodeSet>>,
    nesting: RefCell<Vec<(String, String)>>,
}

impl fmt::Debug for Parser<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parser { dialect, groups, default_source, .. } = self;
        out.debug_struct("Parser")
            .field("dialect", dialect)
            .field("groups", &groups.is_some())
            .field("default_source", default_source)
            .finish_non_exhaustive()
    }
}

impl FromStr for NodeSet {
    type Err = ParseError;

    /// Reads a set in the dialect of Phalanx, without groups.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        match Parser::new().parse(text) {
            Ok(set) => Ok(set),
            Err(NodeSetError::Parse(error)) => Err(error),
            Err(other) => unreachable!("without groups there is nothing to ask: {other}"),
        }
    }
}

impl NodeSet {
    /// Reads a set; the same as `text.parse()`.
    ///
    /// # Errors
    /// When the text is no node set, or would need more than [`crate::MAX_PIECES`] pieces of memory.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl<'g> Parser<'g> {
    /// Makes a parser in the dialect of Phalanx, without groups.
    #[must_use]
    pub fn new() -> Self {
        Parser::default()
    }

    /// Reads this dialect.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Resolves `@group` and wildcards with these groups. Without, both are errors in the dialect of Phalanx.
    #[must_use]
    pub fn groups(mut self, groups: &'g dyn Groups) -> Self {
        self.groups = Some(groups);
        self
    }

    /// Takes groups without a source from this source and not from the default one.
    #[must_use]
    pub fn default_source(mut self, source: Option<String>) -> Self {
        self.default_source = source;
        self
    }

    /// Reads a node set.
    ///
    /// # Errors
    /// When the text is no node set, when it would need more than [`crate::MAX_PIECES`] pieces of memory, or when a group it names cannot
    /// be asked for.
    pub fn parse(&self, text: &str) -> Result<NodeSet, NodeSetError> {
        self.parse_in(text, self.default_source.as_deref())
    }

    /// Returns all nodes of a source, or of the default one: `@*`.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn all_nodes(&self, source: Option<&str>) -> Result<NodeSet, NodeSetError> {
        self.all_of(self.source(source.or(self.default_source.as_deref()))?)
    }

    /// Returns the names in the order of the text; see [`expand_in_input_order`](crate::expand_in_input_order). A
    /// group's nodes come in the order of its set.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_in_input_order(&self, text: &str) -> Result<InputOrder, NodeSetError> {
        let set = self.parse(text)?;
        let names = operands(text, self.dialect)?.into_iter().map(|operand| {
            if operand.text.starts_with('@') || (glob::is_mask(operand.text) && self.groups.is_some()) {
                return Ok(OperandNames::of_set(&self.operand(operand, text, self.default_source.as_deref())?));
            }
            Ok(OperandNames::new(&tokens(operand.text, operand.offset, text, self.dialect)?))
        });
        Ok(InputOrder::new(names.collect::<Result<_, NodeSetError>>()?, set))
    }

    fn source(&self, name: Option<&str>) -> Result<&'g dyn GroupSource, GroupError> {
        match self.groups {
            Some(groups) => groups.source(name),
            None => Err(GroupError::UnknownSource(name.unwrap_or("<default>").to_owned())),
        }
    }

    /// Reads a set in which groups without a source are those of `source`.
    pub(crate) fn parse_in(&self, text: &str, source: Option<&str>) -> Result<NodeSet, NodeSetError> {
        let mut evaluation = Evaluation::default();
        for operand in operands(text, self.dialect)? {
            let fragmented = |TooFragmented| too_fragmented(text, operand.offset);
            let asks = operand.text.starts_with('@') || (glob::is_mask(operand.text) && self.groups.is_some());
            if asks || !Evaluation::can_heap(operand.operator) {
                let right = self.operand(operand, text, source)?;
                evaluation.apply(operand.operator, &right).map_err(fragmented)?;
            } else {
                let tokens = tokens(operand.text, operand.offset, text, self.dialect)?;
                evaluation.heap(operand.operator, &tokens).map_err(fragmented)?;
            }
        }
        evaluation.finish().map_err(|TooFragmented| too_fragmented(text, 0).into())
    }

    fn operand(&self, operand: Operand<'_>, whole: &str, source: Option<&str>) -> Result<NodeSet, NodeSetError> {
        let group = operand.text.strip_prefix('@');
        if group.is_some() && self.groups.is_none() {
            let kind = ParseErrorKind::NoGroups(operand.text.to_owned());
            return Err(ParseError::new(kind, whole, operand.offset).into());
        }
        let skipped = operand.text.len() - group.map_or(operand.text.len(), str::len);
        let text = &operand.text[skipped..];
        let tokens = tokens(text, operand.offset + skipped, whole, self.dialect)?;
        if group.is_some() {
            return self.groups_named(&tokens, operand, whole, source);
        }
        if glob::is_mask(operand.text) && self.groups.is_some() {
            return self.nodes_fitting(&tokens, source);
        }
        plain_set(&tokens).map_err(|TooFragmented| too_fragmented(whole, operand.offset).into())
    }

    /// Returns the union of all groups that an operand names once its brackets are expanded.
    fn groups_named(
        &self,
        tokens: &[Token<'_>],
        operand: Operand<'_>,
        whole: &str,
        source: Option<&str>,
    ) -> Result<NodeSet, NodeSetError> {
        let fragmented = |TooFragmented| NodeSetError::from(too_fragmented(whole, operand.offset));
        let names: Vec<String> = OperandNames::new(tokens).take(MAX_GROUPS_IN_OPERAND + 1).collect();
        if names.len() > MAX_GROUPS_IN_OPERAND {
            return Err(fragmented(TooFragmented));
        }
        let mut union = Evaluation::default();
        for name in names {
            let nodes = self.group(&name, source).map_err(|error| match error {
                NodeSetError::Source(error @ GroupError::QueryFailed(_)) => {
                    NodeSetError::Group { error, operand: operand.text.to_owned() }
                }
                NodeSetError::Parse(error) if matches!(error.kind(), ParseErrorKind::GroupCycle(_)) => {
                    ParseError::new(error.kind().clone(), whole, operand.offset).into()
                }
                other => other,
            })?;
            union.apply(Operator::Union, &nodes).map_err(fragmented)?;
        }
        union.finish().map_err(fragmented)
    }

    /// Returns one group, as written after its first `@`: `group`, `source:group`, `*`, `source:*`, `@` or `@source`.
    fn group(&self, name: &str, source: Option<&str>) -> Result<NodeSet, NodeSetError> {
        if let Some(listed) = name.strip_prefix('@').filter(|listed| !listed.contains(':')) {
            let listed = Some(listed).filter(|listed| !listed.is_empty());
            return self.group_names(self.source(listed.or(source))?);
        }
        let (source, group) = match name.split_once(':') {
            Some(("", group)) => (source, group),
            Some((source, group)) => (Some(source), group),
            None => (source, name),
        };
        let source = self.source(source)?;
        if group == "*" { self.all_of(source) } else { self.nodes_of(source, group) }
    }

    /// Returns the names of a source's groups, as a node set.
    pub(crate) fn group_names(&self, source: &dyn GroupSource) -> Result<NodeSet, NodeSetError> {
        let names = source.groups()?;
        match names.iter().find_map(|name| illegal_in_group_name(name)) {
            Some(illegal) => Err(GroupError::IllegalCharacter(illegal).into()),
            None => Ok(NodeSet::from_names(names)),
        }
    }

    /// Returns the nodes of one group. What it contains is a node set, in which groups without a source are of the same
    /// source.
    pub(crate) fn nodes_of(&self, source: &dyn GroupSource, group: &str) -> Result<NodeSet, NodeSetError> {
        let key = (source.name().to_owned(), group.to_owned());
        if let Some(known) = self.known.borrow().get(&key) {
            return Ok(known.clone());
        }
        if self.nesting.borrow().contains(&key) || self.nesting.borrow().len() >= MAX_NESTING {
            return Err(ParseError::new(ParseErrorKind::GroupCycle(format!("@{group}")), group, 0).into());
        }
        let nodes = match source.nodes(group)? {
            Some(content) if content.trim().is_empty() && self.is_unknown(source, group)? => {
                return Err(NodeSetError::UnknownGroup { source_name: key.0, group: key.1 });
            }
            Some(content) => self.nested(&key, &content)?,
            None if group.is_empty() || self.dialect == Dialect::ClusterShell => NodeSet::new(),
            None => return Err(NodeSetError::UnknownGroup { source_name: key.0, group: key.1 }),
        };
        self.known.borrow_mut().insert(key, nodes.clone());
        Ok(nodes)
    }

    /// Reports whether a group without nodes is one that the source does not even list. An upcall often cannot tell the
    /// two apart by itself.
    fn is_unknown(&self, source: &dyn GroupSource, group: &str) -> Result<bool, GroupError> {
        if self.dialect == Dialect::ClusterShell || group.is_empty() {
            return Ok(false);
        }
        match source.groups() {
            Ok(names) => Ok(!names.iter().any(|name| name == group)),
            Err(GroupError::NoUpcall { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn nested(&self, key: &(String, String), content: &str) -> Result<NodeSet, NodeSetError> {
        self.nesting.borrow_mut().push(key.clone());
        let nodes = self.parse_words_in(content, Some(&key.0));
        self.nesting.borrow_mut().pop();
        nodes
    }

    /// Reads [`words`], all of them meant: the lines of a file, or what an upcall answers.
    ///
    /// ```
    /// use phalanx_nodeset::Parser;
    /// assert_eq!(Parser::new().parse_words("n1 n2\nlogin[1-2]")?.to_string(), "login[1-2],n[1-2]");
    /// # Ok::<(), phalanx_nodeset::NodeSetError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_words(&self, text: &str) -> Result<NodeSet, NodeSetError> {
        self.parse_words_in(text, self.default_source.as_deref())
    }

    fn parse_words_in(&self, text: &str, source: Option<&str>) -> Result<NodeSet, NodeSetError> {
        let mut union = Evaluation::default();
        for word in words(text) {
            if is_plain_name(word) {
                union.heap.push_name(word);
                continue;
            }
            let nodes = self.parse_in(word, source)?;
            union.apply(Operator::Union, &nodes).map_err(|TooFragmented| too_fragmented(word, 0))?;
        }
        union.finish().map_err(|TooFragmented| too_fragmented("", 0).into())
    }

    fn all_of(&self, source: &dyn GroupSource) -> Result<NodeSet, NodeSetError> {
        let failed = |error| match error {
            GroupError::QueryFailed(_) | GroupError::IllegalCharacter(_) => NodeSetError::AllNodes(error),
            GroupError::NoUpcall { .. } => NodeSetError::NoWayToAllNodes,
            other => NodeSetError::Source(other),
        };
        if let Some(all) = source.all().map_err(failed)? {
            return self.parse_words_in(&all, Some(source.name()));
        }
        let groups = source.groups().map_err(failed)?;
        if let Some(illegal) = groups.iter().find_map(|name| illegal_in_group_name(name)) {
            return Err(NodeSetError::AllNodes(GroupError::IllegalCharacter(illegal)));
        }
        let mut union = Evaluation::default();
        for group in groups {
            let nodes = self.nodes_of(source, &group)?;
            union.apply(Operator::Union, &nodes).map_err(|TooFragmented| too_fragmented(&group, 0))?;
        }
        union.finish().map_err(|TooFragmented| too_fragmented("@*", 0).into())
    }

    /// Returns the nodes of the default source whose names fit one of the masks.
    fn nodes_fitting(&self, tokens: &[Token<'_>], source: Option<&str>) -> Result<NodeSet, NodeSetError> {
        let masks: Vec<String> = OperandNames::new(tokens).take(MAX_GROUPS_IN_OPERAND).collect();
        let all = self.all_of(self.source(source)?)?;
        let fitting = all.iter().filter(|name| masks.iter().any(|mask| glob::fits(mask, name)));
        Ok(fitting.collect())
    }
}

fn too_fragmented(text: &str, offset: usize) -> ParseError {
    ParseError::new(ParseErrorKind::TooFragmented, text, offset)
}

/// Reports whether nothing in the text is special, as in most lines of most lists of hosts.
fn is_plain_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| !matches!(byte, b'[' | b']' | b',' | b'!' | b'&' | b'^' | b'@' | b'*' | b'?' | b' ' | b'\t'))
}

fn plain_set(tokens: &[Token<'_>]) -> Result<NodeSet, TooFragmented> {
    let mut evaluation = Evaluation::default();
    push_operand(tokens, &mut evaluation.heap, &mut evaluation.budget)?;
    evaluation.finish()
}

/// The value of the operands so far. Additions in a row are put on a heap and sorted once, and so are subtractions in a row: each on its own
/// would cost as much as the whole set.
#[derive(Debug)]
struct Evaluation {
    value: NodeSet,
    /// Whether what is on the heap is to be taken away.
    subtract: bool,
    heap: Builder,
    budget: Budget,
}

impl Default for Evaluation {
    fn default() -> Self {
        let budget = Budget::pieces(MAX_PIECES);
        Evaluation { value: NodeSet::new(), subtract: false, heap: Builder::default(), budget }
    }
}

impl Evaluation {
    fn can_heap(operator: Operator) -> bool {
        matches!(operator, Operator::Union | Operator::Difference)
    }

    fn heap(&mut self, operator: Operator, tokens: &[Token<'_>]) -> Result<(), TooFragmented> {
        let subtract = operator == Operator::Difference;
        if self.subtract != subtract {
            self.settle()?;
            self.subtract = subtract;
        }
        push_operand(tokens, &mut self.heap, &mut self.budget)
    }

    fn apply(&mut self, operator: Operator, right: &NodeSet) -> Result<(), TooFragmented> {
        self.settle()?;
        let keep = match operator {
            Operator::Union => SetOp::UNION,
            Operator::Difference => SetOp::DIFFERENCE,
            Operator::Intersection => SetOp::INTERSECTION,
            Operator::SymmetricDifference => SetOp::SYMMETRIC_DIFFERENCE,
        };
        self.combine(right, keep)
    }

    fn settle(&mut self) -> Result<(), TooFragmented> {
        if self.heap.is_empty() {
            return Ok(());
        }
        self.budget.next_operation();
        let right = std::mem::take(&mut self.heap).finish(&mut self.budget)?;
        if self.value.is_empty() && !self.subtract {
            self.value = right;
            return Ok(());
        }
        self.combine(&right, if self.subtract { SetOp::DIFFERENCE } else { SetOp::UNION })
    }

    fn combine(&mut self, right: &NodeSet, keep: SetOp) -> Result<(), TooFragmented> {
        self.budget.next_operation();
        self.value = std::mem::take(&mut self.value).combine(right, keep, &mut self.budget)?;
        Ok(())
    }

    fn finish(mut self) -> Result<NodeSet, TooFragmented> {
        self.settle()?;
        Ok(self.value)
    }
}

/// Adds what an operand says to a heap.
fn push_operand(tokens: &[Token<'_>], heap: &mut Builder, budget: &mut Budget) -> Result<(), TooFragmented> {
    let negative = |token: &Token<'_>| matches!(token, Token::Axis(axis) if axis.set.has_negative());
    if tokens.iter().any(negative) {
        heap.note_negative_notation();
        return push_with_negatives(tokens, heap, budget);
    }
    let mut pattern = String::new();
    let mut axes = Vec::new();
    for token in tokens {
        match token {
            Token::Text(text) => push_text(&mut pattern, text),
            Token::Axis(axis) => {
                pattern.push_str("%s");
                axes.push(axis.set.clone());
            }
        }
    }
    heap.push_box(&pattern, &axes, budget)
}

/// Makes an element its string, so that `foo[-1]` is the same as `foo-1`: the hyphen becomes text, and an axis with
/// numbers of both signs becomes two patterns.
fn push_with_negatives(tokens: &[Token<'_>], heap: &mut Builder, budget: &mut Budget) -> Result<(), TooFragmented> {
    let mut boxes: Vec<(String, Vec<RangeSet>)> = vec![(String::new(), Vec::new())];
    for token in tokens {
        match token {
            Token::Text(text) => boxes.iter_mut().for_each(|(pattern, _)| push_text(pattern, text)),
            Token::Axis(axis) => {
                let (negated, rest) = axis.set.split_negative();
                budget.spend(boxes.len())?;
                let choices = [("-%s", negated), ("%s", rest)];
                let choices = choices.iter().filter(|(_, set)| !set.is_empty());
                let with = |(pattern, axes): (&String, &Vec<RangeSet>), (text, set): &(&str, RangeSet)| {
                    (format!("{pattern}{text}"), axes.iter().chain([set]).cloned().collect::<Vec<_>>())
                };
                boxes = choices.flat_map(|choice| boxes.iter().map(move |(p, a)| with((p, a), choice))).collect();
            }
        }
    }
    boxes.iter().try_for_each(|(pattern, axes)| heap.push_box(pattern, axes, budget))
}

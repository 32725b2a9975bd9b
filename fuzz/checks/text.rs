//! What must hold for any text at all, shared by the fuzz targets and by the tests of `phalanx-nodeset`.

use phalanx_nodeset::{Autostep, Dialect, NodeSet, Parser, RangeSet, expand_in_input_order};

/// Beyond so many names a set is only counted: expanding it is the caller's decision.
const FEW: u128 = 2_000;

/// A text read as a node set: no panic, an error that points into the text, or a set that survives being folded.
pub(crate) fn node_set(text: &str) {
    for dialect in [Dialect::Phalanx, Dialect::ClusterShell] {
        match Parser::new().dialect(dialect).parse(text) {
            Ok(set) => holds_together(&set),
            Err(phalanx_nodeset::NodeSetError::Parse(error)) => {
                assert!(text.is_char_boundary(error.offset()) || error.text() != text, "{text:?}: {error}");
                assert!(error.caret().ends_with('^'));
            }
            Err(error) => panic!("there are no groups to ask: {error}"),
        }
    }
    if let (Ok(set), Ok(names)) = (text.parse::<NodeSet>(), expand_in_input_order(text)) {
        let few: Vec<String> = names.take(FEW as usize).collect();
        assert!(few.iter().all(|name| set.contains(name)), "{text:?}");
    }
    let _ = Parser::new().parse_words(text);
    holds_together(&NodeSet::from_names(text.lines()));
}

fn holds_together(set: &NodeSet) {
    assert_eq!(set.is_empty(), set.count() == 0);
    if set.count() > FEW {
        return;
    }
    let names: Vec<String> = set.iter().collect();
    assert_eq!(names.len(), set.len(), "{set}");
    assert_eq!(NodeSet::from_names(&names), *set, "{set}");
    assert!(names.iter().all(|name| set.contains(name)), "{set}");
    // A name may hold anything when it was not read from a text, also what a text would take for an operator.
    let readable = !names.iter().any(|name| name.contains([',', '!', '&', '^', '@', '[', ']']) || name.trim() != name);
    if readable {
        let folded = set.to_string();
        let again: NodeSet = folded.parse().unwrap_or_else(|error| panic!("{folded:?} must be read again: {error}"));
        assert_eq!(again, *set, "{folded}");
        assert_eq!(again.to_string(), folded);
    }
}

/// A text read as a range set.
pub(crate) fn range_set(text: &str) {
    let Ok(set) = text.parse::<RangeSet>() else { return };
    if set.len() > FEW {
        return;
    }
    for autostep in [Autostep::Never, Autostep::AtLeast(0), Autostep::AtLeast(3)] {
        let folded = set.folded(autostep).to_string();
        assert_eq!(folded.parse::<RangeSet>().as_ref(), Ok(&set), "{folded}");
    }
    assert_eq!(set.iter().count() as u128, set.len());
    assert!(set.iter().all(|index| set.contains(&index)), "{set}");
}

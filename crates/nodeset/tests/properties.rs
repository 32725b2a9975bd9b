//! The algebra against plain sets of strings, on random names.

use phalanx_nodeset::{Autostep, FoldAxes, NodeSet, Parser, RangeSet, expand_in_input_order};
use proptest::prelude::*;
use std::collections::BTreeSet;

type Names = BTreeSet<String>;

/// Digits as people write them: few values, many paddings, so that names collide, touch and overlap.
fn digits() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0_u32..25).prop_map(|value| value.to_string()),
        2 => (0_u32..25, 1_usize..4).prop_map(|(value, width)| format!("{value:0width$}")),
        1 => (95_u32..105).prop_map(|value| value.to_string()),
        1 => (985_u64..1015).prop_map(|value| format!("{value:04}")),
        1 => Just("99999999999999999999".to_owned()),
        1 => Just("100000000000000000000".to_owned()),
    ]
}

/// Names of none to three axes under few patterns.
fn name() -> impl Strategy<Value = String> {
    let small = || (0_u32..5).prop_map(|value| value.to_string());
    prop_oneof![
        1 => prop_oneof![Just("login".to_owned()), Just("a-".to_owned()), Just("é%s".to_owned())],
        6 => digits().prop_map(|digits| format!("n{digits}")),
        2 => digits().prop_map(|digits| format!("{digits}-x")),
        4 => (small(), small()).prop_map(|(a, b)| format!("r{a}n{b}")),
        1 => (digits(), digits()).prop_map(|(a, b)| format!("r{a}n{b}")),
        4 => (small(), small(), small()).prop_map(|(a, b, c)| format!("x{a}c{b}s{c}")),
    ]
}

fn names() -> impl Strategy<Value = Names> {
    prop::collection::btree_set(name(), 0..60)
}

fn set(names: &Names) -> NodeSet {
    NodeSet::from_names(names)
}

fn expanded(set: &NodeSet) -> Names {
    let names: Vec<String> = set.iter().collect();
    let distinct: Names = names.iter().cloned().collect();
    assert_eq!(names.len(), distinct.len(), "no name comes twice");
    assert_eq!(set.len(), names.len(), "the count is that of the names");
    distinct
}

/// Pieces of a folded text: parts outside of brackets for node sets, parts inside for one axis.
fn ranges_in(folded: &str) -> usize {
    folded.split(',').filter(|part| !part.is_empty()).count()
}

/// How many pieces ClusterShell needs for one axis: sorted by length, then by value, a run goes on with the next number where both are
/// unpadded, or padded to the same width.
fn reference_pieces(digits: &BTreeSet<String>) -> usize {
    let mut sorted: Vec<&String> = digits.iter().collect();
    let value = |digits: &str| digits.parse::<u128>().expect("these are digits");
    sorted.sort_by_key(|digits| (digits.len(), value(digits)));
    let mut pieces = 0;
    let mut run: Option<(bool, &String)> = None;
    for digits in sorted {
        let padded = digits.len() > 1 && digits.starts_with('0');
        let continues = run.is_some_and(|(run_is_padded, last)| {
            let next = value(last) + 1 == value(digits);
            next && if run_is_padded { last.len() == digits.len() } else { !padded }
        });
        pieces += usize::from(!continues);
        run = Some((if continues { run.is_some_and(|(padded, _)| padded) } else { padded }, digits));
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn parse_and_fold_are_inverse(names in names()) {
        let set = set(&names);
        prop_assert_eq!(expanded(&set), names);
        let folded = set.to_string();
        let again: NodeSet = folded.parse().unwrap();
        prop_assert_eq!(&again, &set, "{}", folded);
        prop_assert_eq!(again.to_string(), folded);
    }

    #[test]
    fn a_fold_depends_on_the_names_and_not_on_their_history(names in names(), others in names()) {
        let direct = set(&names).to_string();
        let detour = set(&names).union(&set(&others)).difference(&set(&others.difference(&names).cloned().collect()));
        prop_assert_eq!(detour.to_string(), direct);
    }

    #[test]
    fn the_operations_are_those_of_sets_of_strings(left in names(), right in names()) {
        let (a, b) = (set(&left), set(&right));
        prop_assert_eq!(expanded(&(&a | &b)), &left | &right);
        prop_assert_eq!(expanded(&(&a - &b)), &left - &right);
        prop_assert_eq!(expanded(&(&a & &b)), &left & &right);
        prop_assert_eq!(expanded(&(&a ^ &b)), &left ^ &right);
        prop_assert_eq!(a == b, left == right);
        prop_assert_eq!(a.is_superset(&b), left.is_superset(&right));
        prop_assert_eq!(a.is_disjoint(&b), left.is_disjoint(&right));
        for name in left.iter().chain(&right) {
            prop_assert_eq!(a.contains(name), left.contains(name));
        }
    }

    #[test]
    fn operators_in_a_text_go_from_left_to_right(
        first in names(), steps in prop::collection::vec((prop::sample::select(vec![',', '!', '&', '^']), names()), 0..5),
    ) {
        let mut text = set(&first).to_string();
        let mut expected = first.clone();
        for (operator, names) in steps.iter().filter(|(_, names)| names.len() == 1) {
            prop_assume!(!expected.is_empty());
            text.push(*operator);
            text.push_str(&set(names).to_string());
            expected = match operator {
                ',' => &expected | names,
                '!' => &expected - names,
                '&' => &expected & names,
                _ => &expected ^ names,
            };
        }
        prop_assert_eq!(expanded(&text.parse().unwrap()), expected);
    }

    #[test]
    fn one_axis_is_never_folded_worse_than_by_clustershell(digits in prop::collection::btree_set(digits(), 1..80)) {
        let set: RangeSet = digits.iter().cloned().collect::<Vec<_>>().join(",").parse().unwrap();
        prop_assert_eq!(set.len(), digits.len() as u128);
        prop_assert!(ranges_in(&set.to_string()) <= reference_pieces(&digits), "{}", set);
    }

    #[test]
    fn steps_are_folded_without_loss(digits in prop::collection::btree_set(digits(), 1..80), least in 0_u64..6) {
        let set: RangeSet = digits.iter().cloned().collect::<Vec<_>>().join(",").parse().unwrap();
        let folded = set.folded(Autostep::AtLeast(least)).to_string();
        prop_assert_eq!(folded.parse::<RangeSet>().unwrap(), set.clone(), "{}", folded);
        prop_assert!(ranges_in(&folded) <= ranges_in(&set.to_string()));
    }

    #[test]
    fn positions_count_the_names_in_order(names in names(), from in 0_u64..40, length in 0_u64..40, parts in 1_usize..9) {
        let set = set(&names);
        let listed: Vec<String> = set.iter().collect();
        for (at, name) in listed.iter().enumerate() {
            prop_assert_eq!(set.position(name), Some(at as u128));
        }
        let positions: RangeSet = (from..from + length).collect();
        let sliced: Names = listed.iter().skip(from as usize).take(length as usize).cloned().collect();
        prop_assert_eq!(expanded(&set.slice(&positions)), sliced);
        let split: Vec<NodeSet> = set.split(parts).collect();
        prop_assert_eq!(split.len(), parts.min(listed.len()));
        let joined: Vec<usize> = split.iter().map(NodeSet::len).collect();
        prop_assert!(joined.iter().all(|&size| size.abs_diff(listed.len() / parts.min(listed.len().max(1))) <= 1));
        let mut rest = listed.as_slice();
        for part in &split {
            let (here, after) = rest.split_at(part.len());
            prop_assert_eq!(expanded(part), here.iter().cloned().collect::<Names>());
            rest = after;
        }
        let contiguous: Vec<NodeSet> = set.contiguous().collect();
        prop_assert_eq!(contiguous.iter().map(NodeSet::len).sum::<usize>(), names.len());
        prop_assert_eq!(contiguous.iter().fold(NodeSet::new(), |all, part| all.union(part)), set);
    }

    #[test]
    fn so_many_are_picked(names in names(), count in 0_u128..70, seed in any::<u64>()) {
        let set = set(&names);
        let mut state = u128::from(seed);
        let picked = set.pick(count, |bound| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 16) % bound
        });
        let expected = if count == 0 { names.len() } else { names.len().min(count as usize) };
        prop_assert_eq!(picked.len(), expected);
        prop_assert!(set.is_superset(&picked));
    }

    #[test]
    fn chosen_axes_only_have_brackets(names in names(), axis in 1_u64..4) {
        let set = set(&names);
        let axes = FoldAxes::Listed([axis].into_iter().collect());
        let folded = set.folded().axes(&axes).to_string();
        prop_assert_eq!(folded.parse::<NodeSet>().unwrap(), set, "{}", folded);
    }

    #[test]
    fn names_come_back_in_the_order_of_their_first_mention(listed in prop::collection::vec("[ab][0-9]{1,2}", 1..30)) {
        let text = listed.join(",");
        let mut seen = BTreeSet::new();
        let expected: Vec<&String> = listed.iter().filter(|name| seen.insert((*name).clone())).collect();
        let got: Vec<String> = expand_in_input_order(&text).unwrap().collect();
        prop_assert_eq!(got.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn brackets_that_touch_are_a_product_of_strings(
        left in prop::collection::btree_set("[0-9]{1,2}", 1..5), middle in "[0-9]{0,2}", right in prop::collection::btree_set("[0-9]{1,2}", 1..5),
    ) {
        let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(",");
        let text = format!("a[{}]{middle}[{}]", list(&left), list(&right));
        let expected: Names = left.iter().flat_map(|l| right.iter().map(move |r| (l, r))).map(|(l, r)| format!("a{l}{middle}{r}")).collect();
        prop_assert_eq!(expanded(&text.parse().unwrap()), expected.clone());
        let in_order: Names = expand_in_input_order(&text).unwrap().collect();
        prop_assert_eq!(in_order, expected);
    }

    #[test]
    fn negative_numbers_are_the_names_that_they_spell(first in -30_i64..30, length in 0_i64..30, other in -30_i64..30) {
        let last = first + length;
        let set: NodeSet = format!("a[{first}-{last}]").parse().unwrap();
        let spelled: Names = (first..=last).map(|number| format!("a{number}")).collect();
        prop_assert_eq!(expanded(&set), spelled.clone());
        prop_assert_eq!(&set, &NodeSet::from_names(&spelled));
        prop_assert_eq!(set.to_string(), if length == 0 { format!("a{first}") } else { format!("a[{first}-{last}]") });
        prop_assert_eq!(set.difference(&NodeSet::from_names([format!("a{other}")])).contains(&format!("a{other}")), false);
        for (at, name) in set.iter().enumerate() {
            prop_assert_eq!(set.position(&name), Some(at as u128));
        }
    }

    #[test]
    fn words_are_a_union(listed in prop::collection::vec(name(), 0..40)) {
        prop_assume!(listed.iter().all(|name| !name.contains('*')));
        let set = Parser::new().parse_words(&listed.join("\n")).unwrap();
        prop_assert_eq!(set, NodeSet::from_names(&listed));
    }
}

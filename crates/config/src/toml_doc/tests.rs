//! Item 7 of the action layer: what is wrong with a document is said with file, line, column and key.

use std::time::Duration;

use super::*;

/// Returns what the reading of a text complains about.
fn complaints(text: &str, read: impl FnOnce(Table<'_>)) -> String {
    match Document::parse("f.toml", text) {
        Ok(document) => {
            read(document.root());
            document.finish(()).err().map(|diagnostics| diagnostics.to_string()).unwrap_or_default()
        }
        Err(diagnostics) => diagnostics.to_string(),
    }
}

type Read = fn(Item<'_>);

/// For what is asked only for its complaints.
fn ignore<T>(_: T) {}

#[test]
fn values_of_every_type_are_read() {
    let text = "text = 'a'\nyes = true\ncount = 1_000\nhex = 0x10\nhalf = 0.5\n\
                spans = [1, 1.5, '0:01:30']\nsizes = [1, '64K']\none = 'a'\nsome = ['a', 'b']\nenum = 'two'\n\
                [table.inner]\nkey.dotted = 1\n[[list]]\nname = 'first'\n[[list]]\nname = 'second'\n";
    let document = Document::parse("f.toml", text).unwrap();
    let root = document.root();
    assert_eq!(root.string("text"), Some("a"));
    assert_eq!(root.boolean("yes"), Some(true));
    assert_eq!(root.integer("count", 0..=u16::MAX), Some(1000));
    assert_eq!(root.integer("hex", 0..=usize::MAX), Some(16));
    assert_eq!((root.number("half"), root.number("count")), (Some(0.5), Some(1000.0)));
    let spans: Vec<_> = root.get("spans").unwrap().items().unwrap().into_iter().map(Item::duration).collect();
    assert_eq!(spans, [1000, 1500, 90_000].map(|span| Some(Duration::from_millis(span))));
    let sizes: Vec<_> = root.get("sizes").unwrap().items().unwrap().into_iter().map(Item::size).collect();
    assert_eq!(sizes, [Some(1), Some(65_536)]);
    assert_eq!(root.strings("one"), Some(vec!["a".to_owned()]));
    assert_eq!(root.strings("some"), Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(root.choice("enum", &[("one", 1), ("two", 2)]), Some(2));
    let inner = root.table("table").unwrap().table("inner").unwrap();
    assert_eq!(inner.table("key").unwrap().integer("dotted", 0..=9), Some(1));
    let names: Vec<_> = root.tables("list").into_iter().map(|table| table.string("name")).collect();
    assert_eq!(names, [Some("first"), Some("second")]);
    assert_eq!((root.string("absent"), root.tables("none").len()), (None, 0));
    document.finish(()).unwrap();
}

#[test]
fn every_wrong_value_is_named_with_its_place_and_what_to_write() {
    let any = "write a text in quotes";
    let wrong: &[(&str, Read, &str)] = &[
        ("5", |item| ignore(item.string()), &format!("it must be a string, not the integer 5; {any}")),
        (
            "1979-05-27",
            |item| ignore(item.string()),
            &format!("it must be a string, not the date or time 1979-05-27; {any}"),
        ),
        ("'yes'", |item| ignore(item.boolean()), "it must be a boolean, not the string \"yes\"; write true or false"),
        (
            "1.0",
            |item| ignore(item.integer(1..=9)),
            "it must be an integer, not the float 1.0; write a number from 1 to 9",
        ),
        ("10", |item| ignore(item.integer(1..=9)), "10 is out of range; write a number from 1 to 9"),
        ("0xff", |item| ignore(item.integer(1..=9)), "it is out of range; write a number from 1 to 9"),
        (
            "nan",
            |item| ignore(item.number()),
            "it must be a number, not the float NaN; write a number such as 2 or 0.5",
        ),
        (
            "'5s'",
            |item| ignore(item.duration()),
            "the string \"5s\" is no duration; write seconds (90, 1.5) or hours, minutes and seconds (\"0:01:30\")",
        ),
        (
            "-1",
            |item| ignore(item.duration()),
            "the integer -1 is no duration; write seconds (90, 1.5) or hours, minutes and seconds (\"0:01:30\")",
        ),
        (
            "'1Q'",
            |item| ignore(item.size()),
            "the string \"1Q\" is no size; write bytes (4096), or a text with a unit (\"64K\", \"10MiB\", \"2GB\")",
        ),
        (
            "'taktk'",
            |item| ignore(item.choice(&[("ssh", 0), ("taktuk", 1)])),
            "\"taktk\" is not known; write one of `ssh`, `taktuk`; did you mean `taktuk`?",
        ),
        ("'x'", |item| ignore(item.choice(&[("ssh", 0)])), "\"x\" is not known; write one of `ssh`"),
        ("[1]", |item| ignore(item.table()), "it must be a table, not an array; write [key] above its keys"),
        (
            "{}",
            |item| ignore(item.items()),
            "it must be an array, not a table; write values between [ and ], with commas",
        ),
        (
            "true",
            |item| ignore(item.strings()),
            "it must be a list of strings, not the boolean true; write a text in quotes, or several: [\"a\", \"b\"]",
        ),
        ("'é'", |item| ignore(item.parse(|_| Err::<(), _>("no such host"))), "no such host"),
    ];
    for (value, read, expected) in wrong {
        let said = complaints(&format!("\nkey = {value}"), |root| read(root.get("key").unwrap()));
        assert_eq!(said, format!("f.toml:2:7: key `key`: {expected}"), "{value}");
    }
}

#[test]
fn all_members_of_a_list_that_are_wrong_are_named() {
    let said = complaints("[[step]]\n[[step]]\nhosts = ['a', 1,\n  2]", |root| {
        root.tables("step").into_iter().for_each(|step| ignore(step.strings("hosts")));
    });
    assert_eq!(
        said,
        "f.toml:3:15: key `step[2].hosts[2]`: it must be a string, not the integer 1; write a text in quotes\n\
         f.toml:4:3: key `step[2].hosts[3]`: it must be a string, not the integer 2; write a text in quotes"
    );
}

#[test]
fn keys_that_nobody_asked_for_are_refused_wherever_they_are() {
    let text =
        "usr = 1\n[a]\nb = 1\n'odd key' = 2\n[[l]]\nx = 1\n[strange]\ndeep = 1\n[opened]\nkey = 1\n[refused]\nkey = 1";
    let said = complaints(text, |root| {
        let _ = (root.string("user"), root.table("a").unwrap().integer("b", 0..=9), root.table("opened"));
        root.tables("l").into_iter().for_each(|table| ignore(table.get("y")));
        root.refuse("refused", "it is no longer needed", "");
        assert_eq!(root.keys().collect::<Vec<_>>(), ["usr", "a", "l", "strange", "opened", "refused"]);
    });
    assert_eq!(
        said,
        "f.toml:1:1: key `usr`: it is not known; did you mean `user`?\n\
         f.toml:4:1: key `a.\"odd key\"`: it is not known; known are `b`\n\
         f.toml:6:1: key `l[1].x`: it is not known; did you mean `y`?\n\
         f.toml:7:2: key `strange`: it is not known; known are `a`, `l`, `opened`, `user`\n\
         f.toml:10:1: key `opened.key`: it is not known\n\
         f.toml:11:2: key `refused`: it is no longer needed"
    );
}

#[test]
fn what_the_user_names_is_known() {
    let document = Document::parse("f.toml", "[preset]\nz = 1\na = { b = 2 }").unwrap();
    let presets = document.root().table("preset").unwrap();
    let names: Vec<_> =
        presets.entries().map(|(key, item)| (key.name(), key.place().line, item.place().column)).collect();
    assert_eq!(names, [("z", 2, 5), ("a", 3, 5)]);
    document.finish(()).unwrap();
}

#[test]
fn what_is_missing_is_said_where_it_is_missed() {
    let said = complaints("[a]\nx = 1", |root| {
        let table = root.table("a").unwrap();
        let _ = (table.get("x"), table.require("run", "write what to run, as run = \"uptime\""));
    });
    assert_eq!(said, "f.toml:1:1: key `a`: `run` is missing; write what to run, as run = \"uptime\"");
}

#[test]
fn what_is_no_toml_is_shown_in_the_same_form() {
    let said = |text: &str| complaints(text, |_| ());
    assert_eq!(
        said("user = 'a'\n\nuser = 'b'\n"),
        "f.toml:3:1: key `user`: it is there a second time; leave one of them"
    );
    assert_eq!(said("[a]\nb=1\n[a]\nc=1"), "f.toml:3:2: key `a`: it is there a second time; leave one of them");
    assert!(
        said("user = root").starts_with("f.toml:1:8: this is not TOML: a text must be quoted"),
        "{}",
        said("user = root")
    );
    assert_eq!(
        complaints("a = 1", |root| root.error("two\nlines\u{1b}", "")),
        "f.toml:1:1: two\\nlines\\u{1b}\nf.toml:1:1: key `a`: it is not known"
    );
    for text in ["user", "user =", "[a", "= 1", "a = 'x", "a = [1", "a = {b = 1", "\0", "a.b = 1\na = 2", "a = 1e"] {
        assert!(said(text).starts_with("f.toml:"), "{text:?}: {}", said(text));
    }
}

#[test]
fn bytes_that_are_no_text_are_found() {
    let error = Document::from_bytes("f.toml", b"a = 1\nb = '\xc3\xa9\xff'").unwrap_err();
    assert_eq!(error.to_string(), "f.toml:2:7: this is not UTF-8, as TOML must be; save the file as UTF-8");
    let document = Document::from_bytes("f.toml", b"\xef\xbb\xbfa = 1").unwrap();
    let place = document.root().get("a").unwrap().place();
    assert_eq!((place, document.root().integer("a", 0..=9)), (Location { line: 1, column: 5 }, Some(1)));
    Document::from_bytes("f.toml", b"").unwrap().finish(()).unwrap();
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let said = |path: &Path| {
        let diagnostics = Document::read(path).unwrap_err();
        diagnostics.to_string().replace(directory.path().to_str().unwrap(), "DIR")
    };
    assert_eq!(said(directory.path()), "DIR: it is a directory; give a file in TOML");
    assert_eq!(
        said(&directory.path().join("none")),
        "DIR/none: cannot read it: No such file or directory (os error 2)"
    );
    assert_eq!(said(Path::new("/dev/zero")), "/dev/zero: it is larger than 16 MiB; is it the right file?");
    let file = directory.path().join("f.toml");
    std::fs::write(&file, "a = 1").unwrap();
    assert_eq!(Document::read(&file).unwrap().root().integer("a", 0..=1), Some(1));
}

#[test]
fn long_lists_and_long_texts_are_cut() {
    let many: String = (0..30).map(|number| format!("k{number} = 1\n")).collect();
    let said = complaints(&many, |_| ());
    assert_eq!((said.lines().count(), said.lines().last()), (21, Some("f.toml: and 10 more")));
    let said = complaints(&format!("a = '{}'", "é".repeat(1000)), |root| ignore(root.boolean("a")));
    assert!(said.contains(&format!("\"{}…\"", "é".repeat(60))), "{said}");
}

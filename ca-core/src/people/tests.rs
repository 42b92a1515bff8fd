use super::*;
use crate::ErrorClass;

#[test]
fn the_sample_is_a_table() {
    let people = parse(SAMPLE.as_bytes(), "people.csv").unwrap().complete("people.csv").unwrap();
    assert_eq!(people.iter().map(|person| person.line).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(people[0].mailbox(), "alice@example.test");
    assert_eq!(people[0].shown(), "Alice Archer");
    assert_eq!(people[1].subject.mailboxes.len(), 2);
    assert!(!people[1].subject.attributes.contains_key(&SubjectAttribute::OrganizationalUnit));
}

#[test]
fn spreadsheets_write_it_in_their_own_way() {
    let text = "\u{feff}E-Mail;Common Name\r\n";
    assert!(parse(text.as_bytes(), "p.csv").unwrap_err().to_string().contains("E-Mail"));
    let text = "\u{feff}Email;Common Name\r\nalice@example.test; Archer, Alice \r\n;\r\n";
    let people = parse(text.as_bytes(), "p.csv").unwrap().complete("p.csv").unwrap();
    assert_eq!(people.len(), 1);
    assert_eq!(people[0].shown(), "Archer, Alice");
    let quoted = "email,common_name\nalice@example.test,\"Archer, \"\"Al\"\"\nice\"\nbob@example.test,Bob\n";
    let people = parse(quoted.as_bytes(), "p.csv").unwrap().complete("p.csv").unwrap();
    assert_eq!((people[0].shown(), people[1].line), ("Archer, \"Al\"\nice", 4));
}

#[test]
fn windows_names_have_columns_of_their_own() {
    let sid = "S-1-5-21-1004336348-1177238915-682003330-1104";
    let text = format!("email,UPN,sid\nalice@example.test,alice@corp.test,{sid}\nbob@example.test,,\n");
    let people = parse(text.as_bytes(), "p.csv").unwrap().complete("p.csv").unwrap();
    let (alice, bob) = (&people[0].subject, &people[1].subject);
    assert_eq!(alice.upn.as_ref().unwrap().as_str(), "alice@corp.test");
    assert_eq!(alice.sid.as_ref().unwrap().as_str(), sid);
    assert_eq!((&bob.upn, &bob.sid), (&None, &None));

    let text = format!(
        "email,upn,sid\na@x.test,a@corp.test,{sid}\nb@x.test,A@corp.test,\nc@x.test,,{sid}\n\
         d@x.test,d,\ne@x.test,e@Corp.test,S-1-5-x\na@corp.test,,\n"
    );
    let error = parse(text.as_bytes(), "p.csv").unwrap().complete("p.csv").unwrap_err();
    let AuthorityError::Lines { lines, .. } = &error else { panic!("{error}") };
    let numbers: Vec<_> = lines.iter().map(|bad| bad.line).collect();
    assert_eq!(numbers, [3, 4, 5, 6, 6], "a mailbox may be somebody's user principal name: {error}");
    assert!(error.to_string().contains("line 3: A@corp.test stands in line 2 already"), "{error}");
}

#[test]
fn every_bad_line_is_named() {
    let text = "email,common_name\nalice@example.test,A\nno address,B\nALICE@example.test,C\n,D\nx@y.test\nz@y.test,\n";
    let error = parse(text.as_bytes(), "p.csv").unwrap().complete("p.csv").unwrap_err();
    let AuthorityError::Lines { lines, .. } = &error else { panic!("{error}") };
    let numbers: Vec<_> = lines.iter().map(|bad| bad.line).collect();
    assert_eq!(numbers, [3, 3, 4, 5, 6]);
    assert!(error.to_string().contains("line 4: ALICE@example.test stands in line 2 already"), "{error}");
    assert_eq!(error.class(), ErrorClass::Usage);
    let latin = b"email,common_name\nalice@example.test,J\xf6rg\nbob@example.test,Bob\n,x\n";
    let table = parse(latin, "p.csv").unwrap();
    assert_eq!(table.people.len(), 2, "the reader goes on after a line that is not UTF-8");
    assert_eq!(table.bad.len(), 2);
}

#[test]
fn a_header_that_cannot_be_used_is_refused() {
    for (text, says) in [
        ("email,shoe_size\n", "the columns are email, common_name"),
        ("common_name\nAlice\n", "no column \"email\""),
        ("email,email\n", "there twice"),
        ("email\n", "names nobody"),
        ("", "no column"),
    ] {
        let error = parse(text.as_bytes(), "p.csv").unwrap_err();
        assert!(error.to_string().contains(says), "{text:?}: {error}");
    }
}

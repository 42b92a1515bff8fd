//! From YAML text to [`TemplateFile`], with the line and the field of an error.

use serde_path_to_error::{Path, Segment};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, MergeKeyPolicy};

use super::error::{Problem, TemplateError};
use super::file::TemplateFile;
use super::schema::allowed;

/// Octets of a template at most; the shipped ones have about 2,000.
const MAX_LEN: usize = 64 * 1024;

/// Reads the file's shape.
///
/// Anchors, aliases, merge keys, tags of applications and a second document are
/// refused: a template says everything where it stands.
pub(super) fn read(text: &str, file: &str) -> Result<TemplateFile, TemplateError> {
    let refuse = |line, field: &str, what: String| {
        let problem = Problem { line, field: field.to_owned(), what };
        TemplateError { file: file.to_owned(), problems: vec![problem] }
    };
    if text.len() > MAX_LEN {
        return Err(refuse(
            1,
            "",
            format!("{} bytes are too many for a template; use at most {MAX_LEN}", text.len()),
        ));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_depth: 16,
            max_documents: 1,
            max_nodes: 5_000,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
        strict_booleans: true,
        with_snippet: false,
    };
    let mut found = None;
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            found = Some(describe(error.path(), error.inner()));
            error.into_inner()
        })
    });
    parsed.map_err(|error| {
        let line = error.location().map_or(1, |location| location.line().max(1));
        let (field, what) = found.unwrap_or_else(|| (String::new(), plain(&error)));
        refuse(line, &field, what)
    })
}

/// The name under which the wrapper that records lines holds its value; no field
/// of a template has it.
pub(super) const WRAPPER: &str = "value";

/// The fields on the way.
fn path_text(path: &Path) -> String {
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Map { key } if key == WRAPPER => {}
            Segment::Map { key } => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
            Segment::Seq { index } => text.push_str(&format!("[{index}]")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

/// The field, and what is wrong with it and what is allowed.
fn describe(path: &Path, error: &Error) -> (String, String) {
    let here = path_text(path);
    let below = |field: &str| if here.is_empty() { field.to_owned() } else { format!("{here}.{field}") };
    let use_this = |field| match allowed(path, field) {
        Some(words) => format!("; use {words}"),
        None => String::new(),
    };
    match error.without_snippet() {
        Error::SerdeUnknownField { field, expected, .. } => {
            (here, format!("unknown field {field:?}; the fields here are {}", expected.join(", ")))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (here, format!("{variant:?} is not allowed; use one of {}", expected.join(", ")))
        }
        Error::SerdeMissingField { field, .. } => {
            (below(field), format!("this field is missing{}", use_this(Some(*field))))
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            (below(key), "this field is there twice; remove one of them".to_owned())
        }
        Error::Message { msg, .. } => (here, msg.clone()),
        other @ (Error::InvalidScalar { .. }
        | Error::Unexpected { .. }
        | Error::NullIntoString { .. }
        | Error::SerdeInvalidType { .. }
        | Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. }
        | Error::UnexpectedValueForUnitEnumVariant { .. }
        | Error::ExpectedStringKeyForExternallyTaggedEnum { .. }
        | Error::TaggedScalarCannotDeserializeIntoString { .. }) => match allowed(path, None) {
            Some(words) => (here, format!("the value is of the wrong type; use {words}")),
            None => (here, plain(other)),
        },
        other => (here, plain(other)),
    }
}

/// What is wrong with the YAML, without the position, which the message has in front.
fn plain(error: &Error) -> String {
    const REPEATED: &str = "anchors, aliases and merge keys are refused; write the value where it stands";
    match error.without_snippet() {
        Error::Budget { breach: BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. }, .. }
        | Error::MergeKeyNotAllowed { .. }
        | Error::UnknownAnchor { .. } => REPEATED.to_owned(),
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } | Error::MultipleDocuments { .. } => {
            "a second document begins here; a file holds one template".to_owned()
        }
        Error::Budget { .. } => "the file is too deep or too long for a template".to_owned(),
        other => {
            let text = other.to_string();
            text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what).to_owned()
        }
    }
}

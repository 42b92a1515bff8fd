//! The JSON Schema of template files, for editors and for error messages.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::file::TemplateFile;

/// The JSON Schema of template files (draft 2020-12), for editors.
///
/// It describes the shape; contradictions are found by
/// [`Template::parse`](super::Template::parse) alone.
#[must_use]
pub fn json_schema() -> String {
    serde_json::to_string_pretty(&schema()).unwrap_or_default()
}

fn schema() -> Value {
    schemars::schema_for!(TemplateFile).to_value()
}

/// What the field may be, in words; `field` is one more step below the path.
pub(super) fn allowed(path: &Path, field: Option<&str>) -> Option<String> {
    let root = schema();
    let mut here = &root;
    for segment in path {
        here = match segment {
            Segment::Map { key } if key == super::read::WRAPPER => here,
            Segment::Map { key } => resolve(&root, here).get("properties")?.get(key)?,
            Segment::Seq { .. } => resolve(&root, here).get("items")?,
            Segment::Enum { .. } | Segment::Unknown => here,
        };
    }
    if let Some(field) = field {
        here = resolve(&root, here).get("properties")?.get(field)?;
    }
    words(&root, here)
}

/// Follows references, and the one that is not null of alternatives.
fn resolve<'a>(root: &'a Value, mut here: &'a Value) -> &'a Value {
    // Every reference in the schema leads to a definition that is not one itself.
    for _ in 0..4 {
        let target = here.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        let inner = here.get("anyOf").and_then(|any| any.get(0)).filter(|any| any.get("$ref").is_some());
        here = match (target.and_then(|target| root.pointer(target)), inner) {
            (Some(target), _) => target,
            (None, Some(inner)) => inner,
            (None, None) => break,
        };
    }
    here
}

fn words(root: &Value, here: &Value) -> Option<String> {
    let here = resolve(root, here);
    let list = |values: Vec<&str>| Some(values.join(", ")).filter(|text| !text.is_empty());
    if let Some(values) = here.get("enum").and_then(Value::as_array) {
        let values = list(values.iter().filter_map(Value::as_str).collect())?;
        return Some(format!("one of {values}"));
    }
    if let Some(values) = here.get("oneOf").and_then(Value::as_array) {
        let values = list(values.iter().filter_map(|one| one.get("const")?.as_str()).collect())?;
        return Some(format!("one of {values}"));
    }
    let kind = match here.get("type")? {
        Value::Array(kinds) => kinds.first()?.as_str()?,
        kind => kind.as_str()?,
    };
    match kind {
        "array" => {
            let items = here.get("items").and_then(|items| words(root, items));
            Some(
                items.map_or_else(
                    || "a list".to_owned(),
                    |items| format!("a list, as [a, b]; each is {items}"),
                ),
            )
        }
        "integer" => Some(match here.get("maximum") {
            Some(maximum) => format!("a whole number from 0 to {maximum}"),
            None => "a whole number, not negative".to_owned(),
        }),
        "object" => {
            let fields = here.get("properties").and_then(Value::as_object)?;
            let fields = list(fields.keys().map(String::as_str).collect())?;
            Some(format!("a section with the fields {fields}"))
        }
        "string" => {
            let Some(values) = here.pointer("/anyOf/0/enum").and_then(Value::as_array) else {
                return Some("a text".to_owned());
            };
            let values = list(values.iter().filter_map(Value::as_str).collect())?;
            Some(format!("one of {values} or a dotted OID"))
        }
        _ => None,
    }
}

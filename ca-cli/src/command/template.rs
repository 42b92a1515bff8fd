//! `ca template`.

use ca_core::domain::template::{self, Template};
use ca_core::templates;
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::TemplateCommand;
use crate::context::Context;
use crate::error::Result;
use crate::report::{done, show};

pub(super) fn run(command: TemplateCommand, context: &Context) -> Result<()> {
    match command {
        TemplateCommand::Check { file } => {
            let template = templates::load_file(&file)?;
            let text = format!("{} is a valid template: {}", file.display(), template.description());
            done(context, &text, &value(&template))
        }
        TemplateCommand::List => list(context),
        TemplateCommand::Schema => {
            let schema = template::json_schema();
            let value: Value = serde_json::from_str(&schema).unwrap_or(Value::Null);
            show(context, &schema, &value)
        }
        TemplateCommand::Show { name } => {
            let home = context.home()?;
            let template = templates::load(&home, &name)?;
            let path = home.templates_dir().join(format!("{name}.yaml"));
            let text = String::from_utf8(crate::input::read_limited(&path, 1 << 20)?).unwrap_or_default();
            let mut value = value(&template);
            value["yaml"] = json!(text);
            show(context, &text, &value)
        }
    }
}

fn list(context: &Context) -> Result<()> {
    let home = context.home()?;
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["NAME", "KIND", "KEYS", "DAYS", "DESCRIPTION"]);
    let mut values = Vec::new();
    let mut broken = Vec::new();
    for name in templates::names(&home)? {
        match templates::load(&home, &name) {
            Ok(template) => {
                table.add_row([
                    template.name().to_owned(),
                    template.kind().name().to_owned(),
                    keys(&template).join(" "),
                    template.default_days().to_string(),
                    template.description().to_owned(),
                ]);
                values.push(value(&template));
            }
            Err(error) => broken.push((name, error.to_string())),
        }
    }
    for (name, error) in &broken {
        context.note(&format!("template {name} cannot be used: {error}"));
    }
    show(context, &table.trim_fmt(), &json!({"templates": values}))
}

fn keys(template: &Template) -> Vec<String> {
    template.key_algorithms().iter().map(ToString::to_string).collect()
}

fn value(template: &Template) -> Value {
    json!({
        "name": template.name(),
        "description": template.description(),
        "kind": template.kind(),
        "conformance": template.conformance(),
        "keys": keys(template),
        "defaultKey": template.default_key_algorithm().name(),
        "defaultDays": template.default_days(),
        "maximumDays": template.maximum_days(),
        "sha256": template.hash_hex(),
    })
}

//! Writing a planned batch in one atomic step.

use sled::Batch;

use super::codec::{self, Meta, Totals};
use super::store::Store;
use super::tables::Tables;
use super::{layout, stamp};
use crate::plan::Plan;
use crate::{CertificateRecord, IndexError};

/// Changes to be written, and the sum that they lead to.
struct Changes {
    batch: Batch,
    totals: Totals,
    tables: Tables,
}

impl Changes {
    fn insert(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.totals.add(&key, &value);
        self.batch.insert(key, value);
    }

    fn remove(&mut self, key: Vec<u8>, value: &[u8]) {
        self.totals.remove(&key, value);
        self.batch.remove(key);
    }

    /// Replaces or makes a pair with a sealed value.
    fn put(&mut self, key: Vec<u8>, before: Option<Vec<u8>>, body: &[u8]) {
        if let Some(before) = before {
            self.totals.remove(&key, &codec::seal(&key, &before));
        }
        let value = codec::seal(&key, body);
        self.insert(key, value);
    }

    fn record(&mut self, before: Option<&CertificateRecord>, after: &CertificateRecord) {
        let (template, new_template) = self.tables.templates.assign(&after.template);
        let (authority, new_authority) = self.tables.authorities.assign(&after.authority);
        if new_template {
            self.put(layout::template(template), None, after.template.as_bytes());
        }
        if new_authority {
            self.put(layout::authority(authority), None, &after.authority.0);
        }
        let body = codec::encode_record(after, template, authority);
        // The encoding has one form for a record, so this is what is stored.
        let old = before.map(|before| codec::encode_record(before, template, authority));
        self.put(layout::record(after.position), old, &body);
        match before {
            None => {
                for key in layout::secondary(after, template, authority) {
                    self.insert(key, Vec::new());
                }
            }
            // Only the state of a record ever changes.
            Some(before) => {
                if let Some(table) = layout::by_state(&before.state) {
                    self.remove(layout::with_position(table, after.position), &[]);
                }
            }
        }
        if let Some(table) = layout::by_state(&after.state) {
            self.insert(layout::with_position(table, after.position), Vec::new());
        }
    }
}

impl Store {
    /// Writes a plan and its mark, all or nothing.
    pub(super) fn write(&mut self, plan: Plan) -> Result<(), IndexError> {
        let mut changes =
            Changes { batch: Batch::default(), totals: self.meta.totals, tables: self.tables.clone() };
        for (before, after) in plan.records.values() {
            changes.record(before.as_ref(), after);
        }
        for authority in plan.authorities.values() {
            let key = layout::named(&authority.name);
            let before = self.value(&key)?;
            changes.put(key, before, &codec::encode_authority(authority));
        }
        let Changes { mut batch, totals, tables } = changes;
        let meta = Meta { applied: plan.applied, fingerprint: plan.fingerprint, totals };
        batch.insert(layout::META, codec::seal(layout::META, &meta.encode()));
        stamp::remove(&self.generation);
        self.guarded(|db| db.apply_batch(batch))?;
        self.meta = meta;
        self.tables = tables;
        Ok(())
    }
}

-- resources_by_id --
-- Resources named by organization, type and id.
SELECT r.organization_id, r.type, r.id, r.external_id, convert_to(r.data::text, 'UTF8') AS data, r.version, r.created_at, r.updated_at
  FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS w (organization_id, type, id)
  JOIN resources r ON r.organization_id = w.organization_id AND r.type = w.type AND r.id = w.id

-- resources_by_external_id --
-- Resources named by organization, type and own id.
SELECT r.organization_id, r.type, r.id, r.external_id, convert_to(r.data::text, 'UTF8') AS data, r.version, r.created_at, r.updated_at
  FROM unnest($1::uuid[], $2::text[], $3::text[]) AS w (organization_id, type, external_id)
  JOIN resources r ON r.organization_id = w.organization_id AND r.type = w.type AND r.external_id = w.external_id

-- only_maker_of_indexes --
-- One session makes indexes; the others get false. Not waited for: a session that waits would hold up what it waits for.
SELECT pg_try_advisory_lock(hashtextextended('tidings.resources.indexes', 0))

-- field_indexes --
-- The indexes of fields that exist, and whether each was finished.
SELECT c.relname AS name, i.indisvalid AS valid
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = 'resources'::regclass AND starts_with(c.relname, 'resources_by_')

-- search_key --
-- Expression: what a resource of one type is found by: the words of its search fields as they are written but for their case,
-- since nobody says in which language they are. The organization is a word as well, so an entry of the index leads to one
-- organization's rows, and what others write makes nobody's search slower.
array_to_tsvector(ARRAY[organization_id::text]) || to_tsvector('simple'::regconfig, {texts})

-- search_text --
-- Expression: one of the texts.
coalesce(data ->> {field}, '')

-- make_search_index --
-- The index of one type's search fields, made without stopping writers. Not in a transaction. Entries are put in their place at
-- once: the list of those that wait would be sorted in by whichever commit finds it full.
CREATE INDEX CONCURRENTLY {name} ON resources USING gin (({key})) WITH (fastupdate = off) WHERE type = {type}

-- page_search --
-- Condition: all words of a text are there, in any order unless it quotes them; a text without words finds nothing.
AND {key} @@ (quote_literal($1::uuid::text)::tsquery && websearch_to_tsquery('simple', {text}))
AND numnode(websearch_to_tsquery('simple', {text})) > 0

-- make_field_index --
-- The index of one field of one type, made without stopping writers: for lists filtered or sorted by it, and for referrers.
-- Not in a transaction. Both names come from the installation's own schema files, as literals.
CREATE INDEX CONCURRENTLY {name} ON resources (organization_id, index_key(data, {field}), created_at, id) WHERE type = {type}

-- drop_field_index --
-- An index whose field is not listed any more, or that was not finished.
DROP INDEX CONCURRENTLY IF EXISTS {name}

-- page --
-- One page of a list of one type's resources. The type is a literal, so that the indexes of its fields are of use.
SELECT r.organization_id, r.type, r.id, r.external_id, convert_to(r.data::text, 'UTF8') AS data, r.version, r.created_at, r.updated_at
  FROM resources r
 WHERE r.organization_id = $1 AND r.type = {type}
   {conditions}
 ORDER BY {order}
 LIMIT $2

-- page_equal --
-- Condition: an indexed field has a value. Long values are found by their beginning and then compared whole.
AND index_key(r.data, {field}) = {key}::text::jsonb AND r.data -> {field} = {value}::text::jsonb

-- page_range --
-- Condition: made or changed on one side of an instant.
AND r.{field} {operator} {value}::timestamptz

-- page_behind_time --
-- Condition: behind a place of a list that is sorted by a time.
AND (r.{field}, r.id) {operator} ({at}::timestamptz, {id}::uuid)

-- page_behind_key --
-- Condition: behind a place of a list that is sorted by a field.
AND (index_key(r.data, {field}), r.created_at, r.id) {operator} ({key}::text::jsonb, {at}::timestamptz, {id}::uuid)

-- order_by_time --
-- Order: by a time, in the order of its index.
r.{field} {direction}, r.id {direction}

-- order_by_key --
-- Order: by a field, in the order of its index.
index_key(r.data, {field}) {direction}, r.created_at {direction}, r.id {direction}

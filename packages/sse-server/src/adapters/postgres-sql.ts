/*
 * A project's log in PostgreSQL: the tables, and the functions that touch them.
 *
 *   project   the heads: epoch · history · head (offset of the newest record) · first (no record is before it) · total (bytes of all that ever was)
 *             · tag (name of the newest append)
 *   log       the records at their places, with the total up to each, by which bytes are counted without adding them up
 *   outbox    records of the caller's transactions, without a place: they get it after the commit, from whoever looks first
 *
 * Offsets are given out under the lock of the project's row, only ever by transactions of ours, which last one statement: so the order of
 * the offsets is the order of the commits, a rollback leaves no hole, and no transaction of the application holds that lock. What is in the
 * outbox is not behind or ahead of anything: it is there, or it has a place. So nothing can be skipped.
 *
 * A tag is the random name of one append, and each record has the tag of the one before it too. So whoever has seen offset 7 can tell whether
 * the 8 that comes belongs to the same log, also where the 7 has been deleted meanwhile.
 *
 * The history names the past of this very table: the cluster, its timeline, and the file that the table is in. After a failover, a restore
 * or a TRUNCATE it is another one, and each log begins anew under a new epoch.
 */

/** Where our tables are. */
export interface PostgresNames {
  /** The schema, which must exist. Lower-case letters, digits, underscores. Default `public`. */
  schema?: string
  /** What the names of tables, functions and the channel begin with. Default `entitycast_`. */
  prefix?: string
}

/** So many records of transactions, and so many bytes of them, get their place in one statement. */
const TAKEN = 10_000
const TAKEN_BYTES = 16_777_216

/** A trim reads so many records at most for each that it may delete: the first that is to be kept may be the second of them. */
const READ_FOR_ONE = 10

/** What the server is called where nothing is ever lost. */
export const DURABLE = 'durable'

/** The migrations that this release needs. */
export const MIGRATIONS = [1]

/** @returns the name of a table or function, as SQL has it */
export function named({ schema, prefix }: Required<PostgresNames>, name: string): string {
  return `"${schema}"."${prefix}${name}"`
}

/** The channel on which commits are told. */
export function channelOf({ schema, prefix }: Required<PostgresNames>): string {
  return `${schema}.${prefix}`
}

/** What asks whether a row is of the past that a session belongs to. Whoever says that nothing is ever lost takes any, of the same file. */
export function samePast(names: Required<PostgresNames>, row: string, server: string): string {
  const file = `'/' || pg_relation_filenode(to_regclass('${named(names, 'project')}'))`
  return `(${row}.history = ${server} || ${file} OR (${server} = '${DURABLE}' AND ${row}.history LIKE '%' || ${file}))`
}

/** All migrations as one text. Running it again changes nothing. */
export function migrationText(names: Required<PostgresNames>): string {
  const [project, log, outbox, migration, settle, append, read, trim] = [
    'project',
    'log',
    'outbox',
    'migration',
    'settle',
    'append',
    'read',
    'trim',
  ].map((name) => named(names, name))
  const history = `p_server || '/' || pg_relation_filenode(to_regclass('${project}'))`
  const isOf = (row: string) => samePast(names, row, 'p_server')
  const since = (ms: string) => `clock_timestamp() - ${ms} * interval '1 millisecond'`
  // Where a session's next trim goes on: a setting of its own, which other sessions neither see nor need.
  const place = `entitycast.after_${names.schema}_${names.prefix}`
  const kept = (row: string) => `(${row}.at >= v_young OR (
        ${row}."offset" > v.head - p_events AND ${row}.at >= v_old AND (${row}."offset" = v.head OR v.total - ${row}.total + ${row}.size <= p_most)
      ))`
  return `-- Entitycast, migration 1: the event log. Run again, it changes nothing.

-- Where several instances run it as they start, one does, and the others wait: not all of what follows can be done by two at a time.
SELECT pg_advisory_xact_lock(hashtextextended('${channelOf(names)}', 0));

CREATE TABLE IF NOT EXISTS ${migration} (
  id integer PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS ${project} (
  project text COLLATE "C" PRIMARY KEY,
  epoch text NOT NULL,
  history text NOT NULL,
  head bigint NOT NULL DEFAULT 0,
  first bigint NOT NULL DEFAULT 1,
  total bigint NOT NULL DEFAULT 0,
  tag text NOT NULL DEFAULT '-',
  used_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE IF NOT EXISTS ${log} (
  project text COLLATE "C" NOT NULL,
  "offset" bigint NOT NULL,
  record text NOT NULL,
  tag text NOT NULL,
  before text NOT NULL,
  size integer NOT NULL,
  total bigint NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (project, "offset")
) WITH (autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE IF NOT EXISTS ${outbox} (
  project text COLLATE "C" NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  record text NOT NULL,
  size integer NOT NULL,
  PRIMARY KEY (project, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02);

-- Takes the lock of a project's row until the end of this transaction. Makes the row where there is none; begins the log anew where it has
-- another past, has forked, or does not end at its head; and gives a place to what transactions have committed meanwhile, as much of it as a
-- statement can do in its time.
CREATE OR REPLACE FUNCTION ${settle}(p_server text, p_name text, p_project text, p_forked text DEFAULT NULL)
RETURNS ${project} LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v ${project};
  v_after ${project};
BEGIN
  LOOP
    SELECT * INTO v FROM ${project} t WHERE t.project = p_project FOR NO KEY UPDATE;
    EXIT WHEN FOUND;
    -- Which file it is is asked only now: whoever has waited for a TRUNCATE would name the one before, and what comes next would begin anew again.
    INSERT INTO ${project} (project, epoch, history) VALUES (p_project, p_name, ${history}) ON CONFLICT DO NOTHING;
  END LOOP;
  IF NOT ${isOf('v')} OR v.epoch = p_forked
    OR EXISTS (SELECT FROM ${log} l WHERE l.project = p_project AND l."offset" > v.head) THEN
    DELETE FROM ${log} l WHERE l.project = p_project;
    UPDATE ${project} t
      SET epoch = p_name, history = ${history}, head = 0, first = 1, total = 0, tag = '-', used_at = now()
      WHERE t.project = p_project RETURNING t.* INTO v;
  END IF;
  IF EXISTS (SELECT FROM ${outbox} o WHERE o.project = p_project) THEN
    WITH taken AS (
      DELETE FROM ${outbox} o WHERE o.project = p_project AND o.id <= (
        SELECT max(f.id) FROM (
          SELECT w.id, sum(w.size) OVER (ORDER BY w.id) - w.size AS bytes
          FROM (SELECT id, size FROM ${outbox} w WHERE w.project = p_project ORDER BY w.id LIMIT ${TAKEN}) w
        ) f WHERE f.bytes < ${TAKEN_BYTES}
      ) RETURNING o.id, o.record, o.size
    ), added AS (
      INSERT INTO ${log} (project, "offset", record, tag, before, size, total, at)
      SELECT p_project, v.head + row_number() OVER (ORDER BY k.id), k.record, p_name,
        CASE row_number() OVER (ORDER BY k.id) WHEN 1 THEN v.tag ELSE p_name END, k.size,
        v.total + sum(k.size) OVER (ORDER BY k.id), clock_timestamp()
      FROM taken k RETURNING size
    )
    UPDATE ${project} t SET head = t.head + a.count, total = t.total + a.size, tag = p_name, used_at = now()
      FROM (SELECT count(*) AS count, sum(size) AS size FROM added) a
      WHERE t.project = p_project AND a.count > 0 RETURNING t.* INTO v_after;
    IF FOUND THEN v := v_after; END IF;
  END IF;
  RETURN v;
END $$;

-- Appends to several logs in one step; with no records, it only gives a place to what was committed. The projects come in the order of their bytes, so that two of these never wait for each other.
-- Without keys nobody is told. Where more was committed than is done in one step nothing is appended, as before it must come all of that: then there is no \`before\`, and the step is to be done again.
CREATE OR REPLACE FUNCTION ${append}(
  p_server text, p_names text[], p_projects text[], p_counts integer[], p_records text[], p_sizes integer[], p_keys text[]
) RETURNS TABLE (epoch text, head bigint, before text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v ${project};
  v_from integer := 1;
  v_to integer;
  v_count integer;
  v_more boolean;
BEGIN
  FOR i IN 1 .. cardinality(p_projects) LOOP
    v := ${settle}(p_server, p_names[i], p_projects[i]);
    -- Only where it has just taken as much as it may. What has been committed since then comes after: waiting for that might not end.
    v_more := v.tag = p_names[i] AND EXISTS (SELECT FROM ${outbox} o WHERE o.project = p_projects[i]) AND (
      SELECT count(*) = ${TAKEN} OR sum(l.size) >= ${TAKEN_BYTES} FROM ${log} l
      WHERE l.project = p_projects[i] AND l."offset" > v.head - ${TAKEN} AND l.tag = p_names[i]
    );
    v_count := CASE WHEN v_more THEN 0 ELSE p_counts[i] END;
    v_to := v_from + p_counts[i] - 1;
    IF v_count > 0 THEN
      INSERT INTO ${log} (project, "offset", record, tag, before, size, total, at)
        SELECT p_projects[i], v.head + r.n, r.record, p_names[i], CASE r.n WHEN 1 THEN v.tag ELSE p_names[i] END, r.size,
          v.total + sum(r.size) OVER (ORDER BY r.n), clock_timestamp()
        FROM unnest(p_records[v_from:v_to], p_sizes[v_from:v_to]) WITH ORDINALITY r (record, size, n);
      UPDATE ${project} t SET head = t.head + v_count, tag = p_names[i], used_at = now(),
        total = t.total + (SELECT sum(s.size) FROM unnest(p_sizes[v_from:v_to]) s (size))
        WHERE t.project = p_projects[i];
    END IF;
    -- Also where it has appended nothing: what was committed may have been given its place by somebody's look just now, and others have not been told.
    IF p_keys IS NOT NULL THEN
      PERFORM pg_notify('${channelOf(names)}', p_keys[i] || ' ' || (v.head + v_count));
    END IF;
    v_from := v_to + 1;
    RETURN QUERY SELECT v.epoch, v.head + v_count, CASE WHEN NOT v_more THEN v.tag END;
  END LOOP;
END $$;

-- What lies after a place. With a tag it is an instance that asks, which has seen that tag there: whatever is still in the table is told, and
-- a log that does not go on from what was seen begins anew. Without one, what is beyond the retention counts as gone.
CREATE OR REPLACE FUNCTION ${read}(
  p_server text, p_name text, p_project text, p_epoch text, p_after bigint, p_tag text, p_limit integer, p_bytes bigint,
  p_age_ms bigint, p_events bigint, p_most bigint
) RETURNS TABLE (what text, epoch text, head bigint, tag text, seen text, records text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v record;
  v_new ${project};
BEGIN
  IF EXISTS (SELECT FROM ${outbox} o WHERE o.project = p_project)
    OR NOT EXISTS (SELECT FROM ${project} t WHERE t.project = p_project AND ${isOf('t')}) THEN
    PERFORM ${settle}(p_server, p_name, p_project);
  END IF;
  LOOP
    -- One statement, so that head and records are of one moment.
    SELECT t.*, page.*,
      CASE WHEN p_after = t.head THEN t.tag WHEN page.page_from = p_after + 1 THEN page.page_before END AS there
    INTO v FROM ${project} t CROSS JOIN LATERAL (
      SELECT count(*) AS page_count, min(f."offset") AS page_from, max(f."offset") AS page_to,
        min(f.at) AS page_at, min(f.total - f.size) AS page_total,
        (array_agg(f.before ORDER BY f."offset"))[1] AS page_before,
        (array_agg(f.tag ORDER BY f."offset" DESC))[1] AS page_tag, string_agg(f.record, ',' ORDER BY f."offset") AS page_records
      FROM (
        SELECT l.*, sum(l.size) OVER (ORDER BY l."offset") - l.size AS bytes FROM ${log} l
        WHERE l.project = p_project AND t.epoch = p_epoch AND l."offset" > p_after
          AND l."offset" <= least(p_after + p_limit, t.head)
      ) f WHERE f.bytes < p_bytes
    ) page WHERE t.project = p_project;
    EXIT WHEN FOUND;
    PERFORM ${settle}(p_server, p_name, p_project);
  END LOOP;
  epoch := v.epoch;
  head := v.head;
  tag := v.tag;
  seen := p_tag;
  records := '';
  what := CASE
    WHEN v.epoch <> p_epoch THEN 'epoch'
    WHEN p_tag IS NULL AND p_after > v.head THEN 'ahead'
    WHEN p_tag IS NOT NULL AND (p_after > v.head OR v.there <> p_tag) THEN 'forked'
    WHEN p_after = v.head THEN 'ok'
    WHEN v.page_from IS DISTINCT FROM p_after + 1 OR v.page_count <> v.page_to - p_after THEN 'expired'
    WHEN p_tag IS NULL AND (v.page_from <= v.head - p_events OR (v.page_from < v.head AND v.total - v.page_total > p_most)
      OR v.page_at < ${since('p_age_ms')}) THEN 'expired'
    ELSE 'ok'
  END;
  IF what = 'ok' AND v.page_count > 0 THEN
    seen := v.page_tag;
    records := v.page_records;
  ELSIF what = 'forked' THEN
    v_new := ${settle}(p_server, p_name, p_project, p_epoch);
    what := 'epoch';
    epoch := v_new.epoch;
    head := v_new.head;
    tag := v_new.tag;
  END IF;
  RETURN NEXT;
END $$;

-- Looks at the p_limit projects that come after those of this session's last call. Deletes about p_limit of their records that are beyond the
-- retention, but for young ones, which instances may not have read yet; and forgets projects that nobody has used for long. One at a time; no
-- lock is waited for. Returns at least p_limit where there are more projects to look at, less where these were the last and the next call
-- begins anew, or -1 where another instance is at it.
CREATE OR REPLACE FUNCTION ${trim}(
  p_lock bigint, p_age_ms bigint, p_events bigint, p_most bigint, p_young_ms bigint, p_idle_ms bigint, p_limit integer
) RETURNS integer LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v ${project};
  v_cut bigint;
  v_count integer;
  v_deleted integer := 0;
  v_looked integer := 0;
  v_read integer := 0;
  v_from text := coalesce(current_setting('${place}', true), '');
  v_to text := v_from;
  v_next text := v_from;
  v_projects text[] := '{}';
  v_epochs text[] := '{}';
  v_cuts bigint[] := '{}';
  v_old timestamptz := ${since('p_age_ms')};
  v_young timestamptz := ${since('p_young_ms')};
BEGIN
  IF NOT pg_try_advisory_xact_lock(p_lock) THEN RETURN -1; END IF;
  FOR v IN SELECT * FROM ${project} t WHERE t.project > v_from ORDER BY t.project LIMIT p_limit LOOP
    v_looked := v_looked + 1;
    v_to := v.project;
    IF v.first <= v.head THEN
      -- The first that is to be kept, or what comes after those that were looked at, or after all.
      SELECT coalesce(min(o."offset") FILTER (WHERE ${kept('o')}), max(o."offset") + 1, v.head + 1), v_read + count(*)
      INTO v_cut, v_read FROM (
        SELECT * FROM ${log} l WHERE l.project = v.project AND l."offset" >= v.first ORDER BY l."offset" LIMIT CASE
          WHEN EXISTS (SELECT FROM ${log} l WHERE l.project = v.project AND l."offset" = v.first AND ${kept('l')})
          THEN 1 ELSE p_limit END
      ) o;
      IF v_cut > v.first THEN
        DELETE FROM ${log} l WHERE l.project = v.project AND l."offset" < v_cut
          AND EXISTS (SELECT FROM ${project} t WHERE t.project = v.project AND t.epoch = v.epoch);
        GET DIAGNOSTICS v_count = ROW_COUNT;
        v_deleted := v_deleted + v_count;
        v_projects := v_projects || v.project;
        v_epochs := v_epochs || v.epoch;
        v_cuts := v_cuts || v_cut;
        -- There may be more of this one: the next call begins with it.
        EXIT WHEN v_count >= p_limit;
      END IF;
    END IF;
    v_next := v.project;
    EXIT WHEN v_deleted >= p_limit OR v_read >= p_limit * ${READ_FOR_ONE};
  END LOOP;
  WITH free AS MATERIALIZED (SELECT s.project FROM ${project} s WHERE s.project = ANY (v_projects) FOR UPDATE SKIP LOCKED)
  UPDATE ${project} t SET first = greatest(t.first, c.first)
    FROM unnest(v_projects, v_epochs, v_cuts) c (project, epoch, first)
    WHERE t.project = c.project AND t.epoch = c.epoch AND t.project IN (SELECT f.project FROM free f);
  DELETE FROM ${project} t WHERE t.project IN (
    SELECT s.project FROM ${project} s
    WHERE s.project > v_from AND s.project <= v_to AND s.first > s.head AND s.used_at < ${since('p_idle_ms')}
      AND NOT EXISTS (SELECT FROM ${outbox} o WHERE o.project = s.project)
    FOR UPDATE SKIP LOCKED
  );
  IF v_looked < p_limit AND v_deleted < p_limit AND v_read < p_limit * ${READ_FOR_ONE} THEN
    PERFORM set_config('${place}', '', false);
    RETURN v_deleted;
  END IF;
  PERFORM set_config('${place}', v_next, false);
  RETURN greatest(v_deleted, p_limit);
END $$;

INSERT INTO ${migration} (id) VALUES (1) ON CONFLICT DO NOTHING;
`
}

-- Entitycast, migration 1: the event log. Run again, it changes nothing.

-- Where several instances run it as they start, one does, and the others wait: not all of what follows can be done by two at a time.
SELECT pg_advisory_xact_lock(hashtextextended('public.entitycast_', 0));

CREATE TABLE IF NOT EXISTS "public"."entitycast_migration" (
  id integer PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS "public"."entitycast_project" (
  project text COLLATE "C" PRIMARY KEY,
  epoch text NOT NULL,
  history text NOT NULL,
  head bigint NOT NULL DEFAULT 0,
  first bigint NOT NULL DEFAULT 1,
  total bigint NOT NULL DEFAULT 0,
  tag text NOT NULL DEFAULT '-',
  used_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE IF NOT EXISTS "public"."entitycast_log" (
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

CREATE TABLE IF NOT EXISTS "public"."entitycast_outbox" (
  project text COLLATE "C" NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  record text NOT NULL,
  size integer NOT NULL,
  PRIMARY KEY (project, id)
) WITH (autovacuum_vacuum_scale_factor = 0.02);

-- Takes the lock of a project's row until the end of this transaction. Makes the row where there is none; begins the log anew where it has
-- another past, has forked, or does not end at its head; and gives a place to what transactions have committed meanwhile, as much of it as a
-- statement can do in its time.
CREATE OR REPLACE FUNCTION "public"."entitycast_settle"(p_server text, p_name text, p_project text, p_forked text DEFAULT NULL)
RETURNS "public"."entitycast_project" LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v "public"."entitycast_project";
  v_after "public"."entitycast_project";
BEGIN
  LOOP
    SELECT * INTO v FROM "public"."entitycast_project" t WHERE t.project = p_project FOR NO KEY UPDATE;
    EXIT WHEN FOUND;
    -- Which file it is is asked only now: whoever has waited for a TRUNCATE would name the one before, and what comes next would begin anew again.
    INSERT INTO "public"."entitycast_project" (project, epoch, history) VALUES (p_project, p_name, p_server || '/' || pg_relation_filenode(to_regclass('"public"."entitycast_project"'))) ON CONFLICT DO NOTHING;
  END LOOP;
  IF NOT (v.history = p_server || '/' || pg_relation_filenode(to_regclass('"public"."entitycast_project"')) OR (p_server = 'durable' AND v.history LIKE '%' || '/' || pg_relation_filenode(to_regclass('"public"."entitycast_project"')))) OR v.epoch = p_forked
    OR EXISTS (SELECT FROM "public"."entitycast_log" l WHERE l.project = p_project AND l."offset" > v.head) THEN
    DELETE FROM "public"."entitycast_log" l WHERE l.project = p_project;
    UPDATE "public"."entitycast_project" t
      SET epoch = p_name, history = p_server || '/' || pg_relation_filenode(to_regclass('"public"."entitycast_project"')), head = 0, first = 1, total = 0, tag = '-', used_at = now()
      WHERE t.project = p_project RETURNING t.* INTO v;
  END IF;
  IF EXISTS (SELECT FROM "public"."entitycast_outbox" o WHERE o.project = p_project) THEN
    WITH taken AS (
      DELETE FROM "public"."entitycast_outbox" o WHERE o.project = p_project AND o.id <= (
        SELECT max(f.id) FROM (
          SELECT w.id, sum(w.size) OVER (ORDER BY w.id) - w.size AS bytes
          FROM (SELECT id, size FROM "public"."entitycast_outbox" w WHERE w.project = p_project ORDER BY w.id LIMIT 10000) w
        ) f WHERE f.bytes < 16777216
      ) RETURNING o.id, o.record, o.size
    ), added AS (
      INSERT INTO "public"."entitycast_log" (project, "offset", record, tag, before, size, total, at)
      SELECT p_project, v.head + row_number() OVER (ORDER BY k.id), k.record, p_name,
        CASE row_number() OVER (ORDER BY k.id) WHEN 1 THEN v.tag ELSE p_name END, k.size,
        v.total + sum(k.size) OVER (ORDER BY k.id), clock_timestamp()
      FROM taken k RETURNING size
    )
    UPDATE "public"."entitycast_project" t SET head = t.head + a.count, total = t.total + a.size, tag = p_name, used_at = now()
      FROM (SELECT count(*) AS count, sum(size) AS size FROM added) a
      WHERE t.project = p_project AND a.count > 0 RETURNING t.* INTO v_after;
    IF FOUND THEN v := v_after; END IF;
  END IF;
  RETURN v;
END $$;

-- Appends to several logs in one step; with no records, it only gives a place to what was committed. The projects come in the order of their bytes, so that two of these never wait for each other.
-- Without keys nobody is told. Where more was committed than is done in one step nothing is appended, as before it must come all of that: then there is no `before`, and the step is to be done again.
CREATE OR REPLACE FUNCTION "public"."entitycast_append"(
  p_server text, p_names text[], p_projects text[], p_counts integer[], p_records text[], p_sizes integer[], p_keys text[]
) RETURNS TABLE (epoch text, head bigint, before text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v "public"."entitycast_project";
  v_from integer := 1;
  v_to integer;
  v_count integer;
  v_more boolean;
BEGIN
  FOR i IN 1 .. cardinality(p_projects) LOOP
    v := "public"."entitycast_settle"(p_server, p_names[i], p_projects[i]);
    -- Only where it has just taken as much as it may. What has been committed since then comes after: waiting for that might not end.
    v_more := v.tag = p_names[i] AND EXISTS (SELECT FROM "public"."entitycast_outbox" o WHERE o.project = p_projects[i]) AND (
      SELECT count(*) = 10000 OR sum(l.size) >= 16777216 FROM "public"."entitycast_log" l
      WHERE l.project = p_projects[i] AND l."offset" > v.head - 10000 AND l.tag = p_names[i]
    );
    v_count := CASE WHEN v_more THEN 0 ELSE p_counts[i] END;
    v_to := v_from + p_counts[i] - 1;
    IF v_count > 0 THEN
      INSERT INTO "public"."entitycast_log" (project, "offset", record, tag, before, size, total, at)
        SELECT p_projects[i], v.head + r.n, r.record, p_names[i], CASE r.n WHEN 1 THEN v.tag ELSE p_names[i] END, r.size,
          v.total + sum(r.size) OVER (ORDER BY r.n), clock_timestamp()
        FROM unnest(p_records[v_from:v_to], p_sizes[v_from:v_to]) WITH ORDINALITY r (record, size, n);
      UPDATE "public"."entitycast_project" t SET head = t.head + v_count, tag = p_names[i], used_at = now(),
        total = t.total + (SELECT sum(s.size) FROM unnest(p_sizes[v_from:v_to]) s (size))
        WHERE t.project = p_projects[i];
    END IF;
    -- Also where it has appended nothing: what was committed may have been given its place by somebody's look just now, and others have not been told.
    IF p_keys IS NOT NULL THEN
      PERFORM pg_notify('public.entitycast_', p_keys[i] || ' ' || (v.head + v_count));
    END IF;
    v_from := v_to + 1;
    RETURN QUERY SELECT v.epoch, v.head + v_count, CASE WHEN NOT v_more THEN v.tag END;
  END LOOP;
END $$;

-- What lies after a place. With a tag it is an instance that asks, which has seen that tag there: whatever is still in the table is told, and
-- a log that does not go on from what was seen begins anew. Without one, what is beyond the retention counts as gone.
CREATE OR REPLACE FUNCTION "public"."entitycast_read"(
  p_server text, p_name text, p_project text, p_epoch text, p_after bigint, p_tag text, p_limit integer, p_bytes bigint,
  p_age_ms bigint, p_events bigint, p_most bigint
) RETURNS TABLE (what text, epoch text, head bigint, tag text, seen text, records text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v record;
  v_new "public"."entitycast_project";
BEGIN
  IF EXISTS (SELECT FROM "public"."entitycast_outbox" o WHERE o.project = p_project)
    OR NOT EXISTS (SELECT FROM "public"."entitycast_project" t WHERE t.project = p_project AND (t.history = p_server || '/' || pg_relation_filenode(to_regclass('"public"."entitycast_project"')) OR (p_server = 'durable' AND t.history LIKE '%' || '/' || pg_relation_filenode(to_regclass('"public"."entitycast_project"'))))) THEN
    PERFORM "public"."entitycast_settle"(p_server, p_name, p_project);
  END IF;
  LOOP
    -- One statement, so that head and records are of one moment.
    SELECT t.*, page.*,
      CASE WHEN p_after = t.head THEN t.tag WHEN page.page_from = p_after + 1 THEN page.page_before END AS there
    INTO v FROM "public"."entitycast_project" t CROSS JOIN LATERAL (
      SELECT count(*) AS page_count, min(f."offset") AS page_from, max(f."offset") AS page_to,
        min(f.at) AS page_at, min(f.total - f.size) AS page_total,
        (array_agg(f.before ORDER BY f."offset"))[1] AS page_before,
        (array_agg(f.tag ORDER BY f."offset" DESC))[1] AS page_tag, string_agg(f.record, ',' ORDER BY f."offset") AS page_records
      FROM (
        SELECT l.*, sum(l.size) OVER (ORDER BY l."offset") - l.size AS bytes FROM "public"."entitycast_log" l
        WHERE l.project = p_project AND t.epoch = p_epoch AND l."offset" > p_after
          AND l."offset" <= least(p_after + p_limit, t.head)
      ) f WHERE f.bytes < p_bytes
    ) page WHERE t.project = p_project;
    EXIT WHEN FOUND;
    PERFORM "public"."entitycast_settle"(p_server, p_name, p_project);
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
      OR v.page_at < clock_timestamp() - p_age_ms * interval '1 millisecond') THEN 'expired'
    ELSE 'ok'
  END;
  IF what = 'ok' AND v.page_count > 0 THEN
    seen := v.page_tag;
    records := v.page_records;
  ELSIF what = 'forked' THEN
    v_new := "public"."entitycast_settle"(p_server, p_name, p_project, p_epoch);
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
CREATE OR REPLACE FUNCTION "public"."entitycast_trim"(
  p_lock bigint, p_age_ms bigint, p_events bigint, p_most bigint, p_young_ms bigint, p_idle_ms bigint, p_limit integer
) RETURNS integer LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v "public"."entitycast_project";
  v_cut bigint;
  v_count integer;
  v_deleted integer := 0;
  v_looked integer := 0;
  v_read integer := 0;
  v_from text := coalesce(current_setting('entitycast.after_public_entitycast_', true), '');
  v_to text := v_from;
  v_next text := v_from;
  v_projects text[] := '{}';
  v_epochs text[] := '{}';
  v_cuts bigint[] := '{}';
  v_old timestamptz := clock_timestamp() - p_age_ms * interval '1 millisecond';
  v_young timestamptz := clock_timestamp() - p_young_ms * interval '1 millisecond';
BEGIN
  IF NOT pg_try_advisory_xact_lock(p_lock) THEN RETURN -1; END IF;
  FOR v IN SELECT * FROM "public"."entitycast_project" t WHERE t.project > v_from ORDER BY t.project LIMIT p_limit LOOP
    v_looked := v_looked + 1;
    v_to := v.project;
    IF v.first <= v.head THEN
      -- The first that is to be kept, or what comes after those that were looked at, or after all.
      SELECT coalesce(min(o."offset") FILTER (WHERE (o.at >= v_young OR (
        o."offset" > v.head - p_events AND o.at >= v_old AND (o."offset" = v.head OR v.total - o.total + o.size <= p_most)
      ))), max(o."offset") + 1, v.head + 1), v_read + count(*)
      INTO v_cut, v_read FROM (
        SELECT * FROM "public"."entitycast_log" l WHERE l.project = v.project AND l."offset" >= v.first ORDER BY l."offset" LIMIT CASE
          WHEN EXISTS (SELECT FROM "public"."entitycast_log" l WHERE l.project = v.project AND l."offset" = v.first AND (l.at >= v_young OR (
        l."offset" > v.head - p_events AND l.at >= v_old AND (l."offset" = v.head OR v.total - l.total + l.size <= p_most)
      )))
          THEN 1 ELSE p_limit END
      ) o;
      IF v_cut > v.first THEN
        DELETE FROM "public"."entitycast_log" l WHERE l.project = v.project AND l."offset" < v_cut
          AND EXISTS (SELECT FROM "public"."entitycast_project" t WHERE t.project = v.project AND t.epoch = v.epoch);
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
    EXIT WHEN v_deleted >= p_limit OR v_read >= p_limit * 10;
  END LOOP;
  WITH free AS MATERIALIZED (SELECT s.project FROM "public"."entitycast_project" s WHERE s.project = ANY (v_projects) FOR UPDATE SKIP LOCKED)
  UPDATE "public"."entitycast_project" t SET first = greatest(t.first, c.first)
    FROM unnest(v_projects, v_epochs, v_cuts) c (project, epoch, first)
    WHERE t.project = c.project AND t.epoch = c.epoch AND t.project IN (SELECT f.project FROM free f);
  DELETE FROM "public"."entitycast_project" t WHERE t.project IN (
    SELECT s.project FROM "public"."entitycast_project" s
    WHERE s.project > v_from AND s.project <= v_to AND s.first > s.head AND s.used_at < clock_timestamp() - p_idle_ms * interval '1 millisecond'
      AND NOT EXISTS (SELECT FROM "public"."entitycast_outbox" o WHERE o.project = s.project)
    FOR UPDATE SKIP LOCKED
  );
  IF v_looked < p_limit AND v_deleted < p_limit AND v_read < p_limit * 10 THEN
    PERFORM set_config('entitycast.after_public_entitycast_', '', false);
    RETURN v_deleted;
  END IF;
  PERFORM set_config('entitycast.after_public_entitycast_', v_next, false);
  RETURN greatest(v_deleted, p_limit);
END $$;

INSERT INTO "public"."entitycast_migration" (id) VALUES (1) ON CONFLICT DO NOTHING;

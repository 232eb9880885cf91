/**
 * Writes deploy/grafana/ghostsnap.json from the rows below; `--check` only says whether it is up to date.
 *
 * The dashboard is this file: a panel is a line that can be read and reviewed. A test holds every query
 * against the names that the sidecar gives.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Panel {
  readonly title: string;
  readonly unit: 's' | 'bytes' | 'percentunit' | 'short' | 'ops';
  /** Legend by query. */
  readonly queries: Readonly<Record<string, string>>;
}

const FILE = join(import.meta.dirname, '..', 'deploy', 'grafana', 'ghostsnap.json');
const PANEL_WIDTH = 8;
const PANEL_HEIGHT = 7;
const GRID_WIDTH = 24;

const quantile = (q: number, histogram: string): string =>
  `histogram_quantile(${q}, sum by (le) (rate(${histogram}_bucket{instance=~"$instance"}[5m])))`;
const rate = (counter: string, by = ''): string =>
  `sum ${by === '' ? '' : `by (${by}) `}(rate(${counter}{instance=~"$instance"}[5m]))`;
const gauge = (name: string): string => `${name}{instance=~"$instance"}`;

const durations = (title: string, histogram: string): Panel => ({
  title,
  unit: 's',
  queries: {
    p50: quantile(0.5, histogram),
    p99: quantile(0.99, histogram),
  },
});

/** Requests, errors and durations first; then what is used up; then telemetry itself. */
const PANELS: readonly Panel[] = [
  durations('What a tool waits for', 'ghostsnap_call_begin_duration_seconds'),
  {
    title: 'Share of tool calls over 12 ms',
    unit: 'percentunit',
    queries: {
      '5 min': gauge('ghostsnap:call_begin_slow:ratio_rate5m'),
      '1 h': gauge('ghostsnap:call_begin_slow:ratio_rate1h'),
      '6 h': gauge('ghostsnap:call_begin_slow:ratio_rate6h'),
    },
  },
  {
    title: 'Snapshots',
    unit: 'ops',
    queries: {
      '{{way}}': rate('ghostsnap_snapshots_total', 'way'),
      deleted: rate('ghostsnap_snapshots_deleted_total'),
      failed: rate('ghostsnap_snapshot_failures_total'),
    },
  },
  durations('Snapshot, the backend alone', 'ghostsnap_backend_snapshot_duration_seconds'),
  durations('Snapshot, the system call alone', 'ghostsnap_btrfs_snap_create_duration_seconds'),
  durations('Wait for the workspace', 'ghostsnap_workspace_wait_duration_seconds'),
  durations('Wait for the catalog', 'ghostsnap_catalog_land_duration_seconds'),
  durations('Rollbacks', 'ghostsnap_rollback_duration_seconds'),
  durations('Hooks', 'ghostsnap_hook_duration_seconds'),
  {
    title: 'Looks at armed snapshots',
    unit: 'ops',
    queries: { '{{result}}': rate('ghostsnap_arming_checks_total', 'result') },
  },
  {
    title: 'Requests by status',
    unit: 'ops',
    queries: {
      '{{http_response_status_code}}': rate(
        'http_server_request_duration_seconds_count',
        'http_response_status_code',
      ),
      refused: rate('ghostsnap_requests_refused_total'),
      shed: rate('ghostsnap_requests_shed_total'),
    },
  },
  durations('Requests', 'http_server_request_duration_seconds'),
  {
    title: 'Queues and sessions',
    unit: 'short',
    queries: {
      'queue {{queue}}': gauge('ghostsnap_queue_depth'),
      sessions: gauge('ghostsnap_sessions_live'),
      workspaces: gauge('ghostsnap_workspaces_open'),
      connections: gauge('ghostsnap_connections'),
    },
  },
  {
    title: 'Pool',
    unit: 'bytes',
    queries: {
      free: gauge('ghostsnap_pool_free_bytes'),
      size: gauge('ghostsnap_pool_size_bytes'),
    },
  },
  {
    title: 'Processor',
    unit: 'percentunit',
    queries: {
      'all of the machine': gauge('system_cpu_utilization_ratio'),
      'this process, {{cpu_mode}}': rate('process_cpu_time_seconds_total', 'cpu_mode'),
    },
  },
  {
    title: 'Memory',
    unit: 'bytes',
    queries: {
      resident: gauge('process_memory_usage_bytes'),
      heap: gauge('v8js_memory_heap_used_bytes'),
    },
  },
  {
    title: 'Event loop delay',
    unit: 's',
    queries: {
      p50: gauge('nodejs_eventloop_delay_p50_seconds'),
      p99: gauge('nodejs_eventloop_delay_p99_seconds'),
      max: gauge('nodejs_eventloop_delay_max_seconds'),
    },
  },
  {
    title: 'Garbage collection, share of time',
    unit: 'percentunit',
    queries: { '{{v8js_gc_type}}': rate('v8js_gc_time_seconds_total', 'v8js_gc_type') },
  },
  {
    title: 'Spans',
    unit: 'ops',
    queries: {
      exported: rate('ghostsnap_telemetry_exported_total'),
      dropped: rate('ghostsnap_telemetry_dropped_total'),
      lost: rate('ghostsnap_telemetry_lost_total'),
    },
  },
];

const text = `${JSON.stringify(dashboard(), null, 2)}\n`;
if (process.argv.includes('--check')) {
  if (readFileSync(FILE, 'utf8') !== text) {
    console.error('deploy/grafana/ghostsnap.json is not what scripts/make-dashboard.ts makes.');
    process.exit(1);
  }
} else {
  writeFileSync(FILE, text);
}

function dashboard(): unknown {
  return {
    title: 'ghostsnap',
    uid: 'ghostsnap',
    schemaVersion: 39,
    time: { from: 'now-1h', to: 'now' },
    refresh: '30s',
    templating: {
      list: [
        { name: 'datasource', type: 'datasource', query: 'prometheus' },
        {
          name: 'instance',
          type: 'query',
          datasource: { type: 'prometheus', uid: '$datasource' },
          query: 'label_values(process_uptime_seconds, instance)',
          includeAll: true,
          multi: true,
        },
      ],
    },
    panels: PANELS.map(panelOf),
  };
}

function panelOf({ title, unit, queries }: Panel, index: number): unknown {
  const across = GRID_WIDTH / PANEL_WIDTH;
  return {
    id: index + 1,
    title,
    type: 'timeseries',
    datasource: { type: 'prometheus', uid: '$datasource' },
    gridPos: {
      w: PANEL_WIDTH,
      h: PANEL_HEIGHT,
      x: (index % across) * PANEL_WIDTH,
      y: Math.floor(index / across) * PANEL_HEIGHT,
    },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    targets: Object.entries(queries).map(([legendFormat, expr], query) => ({
      refId: String.fromCharCode('A'.charCodeAt(0) + query),
      legendFormat,
      expr,
    })),
  };
}

// Draws the dashboard window.BOARD, with the responses of Prometheus in it, using Grafana's UI library.
import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  FieldType,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  identityOverrideProcessor,
  Registry,
  toDataFrame,
} from "@grafana/data";
import { BarGauge, BigValue, GlobalStyles, ThemeContext, TimeSeries, VizRepeater } from "@grafana/ui";
import { createRoot } from "react-dom/client";

const COLUMN = 1880 / 24;
const ROW = 38;
const HEAD = 36;
const { panels, title, from, to, timezone } = window.BOARD;
const theme = createTheme({ colors: { mode: window.BOARD.mode } });
const same = (value) => value;

// The field settings that Grafana's panels would register; each value is used as it is.
const PLAIN = ["unit", "decimals", "min", "max", "noValue", "mappings", "thresholds", "color", "displayName"];
const CUSTOM = [
  "lineWidth", "lineStyle", "fillOpacity", "fillBelowTo", "showPoints", "spanNulls", "hideFrom", "thresholdsStyle",
  "drawStyle", "pointSize", "axisPlacement", "lineInterpolation",
];
const item = (path, isCustom) => ({
  id: isCustom ? `custom.${path}` : path,
  path,
  name: path,
  isCustom,
  process: identityOverrideProcessor,
  shouldApply: () => true,
});
const registry = new Registry(() => [...PLAIN.map((path) => item(path, false)), ...CUSTOM.map((path) => item(path, true))]);

// Converts responses as Grafana's data source does: a frame for each series, named by the legend.
function frames(panel) {
  return panel.answers.flatMap(({ refId, legend, step, series }) =>
    series.map(({ metric, values }) => {
      const named = legend && legend.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? "");
      return toDataFrame({
        refId,
        fields: [
          { name: "Time", type: FieldType.time, values: values.map(([at]) => at * 1000), config: { interval: step * 1000 } },
          {
            name: "Value",
            type: FieldType.number,
            labels: metric,
            values: values.map(([, value]) => Number(value)),
            config: named ? { displayNameFromDS: named } : {},
          },
        ],
      });
    }),
  );
}

function data(panel) {
  const made = frames(panel);
  if (panel.type === "timeseries") {
    made.forEach((frame) => (frame.fields[1].config.custom = { ...panel.fieldConfig.defaults.custom }));
  }
  const applied = applyFieldOverrides({
    data: made,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables: same,
    theme,
    timeZone: timezone,
  });
  cacheFieldDisplayNames(applied);
  return applied;
}

function values(panel) {
  return getFieldDisplayValues({
    data: data(panel),
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: same,
    theme,
    timeZone: timezone,
  });
}

function Numbers({ panel, width, height }) {
  const shown = values(panel);
  return shown.map((one, place) => (
    <BigValue
      key={place}
      theme={theme}
      value={one.display}
      width={width / shown.length}
      height={height}
      count={shown.length}
      colorMode={panel.options.colorMode}
      graphMode={panel.options.graphMode}
      textMode={panel.options.textMode}
      justifyMode={panel.options.justifyMode}
    />
  ));
}

function Bars({ panel, width, height }) {
  const one = (render) => (
    <BarGauge
      theme={theme}
      value={render.value.display}
      field={render.value.field}
      display={render.value.view?.getFieldDisplayProcessor(render.value.colIndex)}
      width={render.width}
      height={render.height}
      orientation={render.orientation}
      alignmentFactors={render.alignmentFactors}
      displayMode={panel.options.displayMode}
      showUnfilled={panel.options.showUnfilled}
      valueDisplayMode={panel.options.valueMode}
      namePlacement={panel.options.namePlacement}
      itemSpacing={8}
      lcdCellWidth={12}
    />
  );
  return (
    <VizRepeater
      source={panel}
      getValues={() => values(panel)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={one}
      renderCounter={0}
      width={width}
      height={height}
      itemSpacing={8}
      orientation={panel.options.orientation}
      minVizHeight={10}
    />
  );
}

function Lines({ panel, width, height }) {
  const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: "", to: "" } };
  const found = data(panel);
  if (!found.length) {
    return <Absent>{panel.fieldConfig.defaults.noValue}</Absent>;
  }
  return (
    <TimeSeries
      frames={found}
      timeRange={range}
      timeZone={timezone}
      width={width}
      height={height}
      legend={panel.options.legend}
      theme={theme}
      structureRev={1}
      replaceVariables={same}
    />
  );
}

const Absent = ({ children }) => <div style={{ color: theme.colors.text.secondary }}>{children}</div>;
const KINDS = { stat: Numbers, bargauge: Bars, timeseries: Lines };

function Panel({ panel }) {
  const { x, y, w, h } = panel.gridPos;
  const place = { position: "absolute", left: x * COLUMN, top: y * ROW, width: w * COLUMN - 8, height: h * ROW - 8 };
  if (panel.type === "row") {
    return <h2 style={{ ...place, margin: 0, font: "500 18px Inter, sans-serif" }}>{panel.title}</h2>;
  }
  const Kind = KINDS[panel.type] ?? (() => <Absent>{panel.type}: not in Grafana's UI library</Absent>);
  const frame = { background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}` };
  return (
    <section style={{ ...place, ...frame, boxSizing: "border-box", padding: 8, overflow: "hidden" }}>
      <div style={{ font: "500 14px Inter, sans-serif", height: HEAD - 12 }}>{panel.title}</div>
      <div style={{ display: "flex" }}>
        <Kind panel={panel} width={w * COLUMN - 26} height={h * ROW - 8 - HEAD} />
      </div>
    </section>
  );
}

document.body.style.cssText = `margin: 16px; background: ${theme.colors.background.canvas}; color: ${theme.colors.text.primary}`;
document.title = title;
createRoot(document.getElementById("board")).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <div style={{ position: "relative" }}>{panels.map((panel) => <Panel key={panel.id} panel={panel} />)}</div>
  </ThemeContext.Provider>,
);

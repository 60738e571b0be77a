/** Around every page: where one can go, and whether what one sees is true now. */
import { ActionIcon, Anchor, Text, Title, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { Link, Outlet } from "@tanstack/react-router";
import { useEffect } from "react";
import { useFeedKeepsPagesFresh } from "../api/fresh.ts";
import { liveFeed } from "../api/live-feed.ts";
import { LineState } from "../parts/line-state.tsx";

const PLACES = [
  ["/", "Overview"],
  ["/devices", "Devices"],
  ["/images", "Images"],
] as const;

export function Shell() {
  useEffect(() => {
    liveFeed.start();
    return () => liveFeed.stop();
  }, []);
  useFeedKeepsPagesFresh();
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="shell-head">
        <Title order={1} size="h3">
          <Anchor component={Link} to="/" inherit c="inherit" underline="never">
            Airlift
          </Anchor>
        </Title>
        <LineState />
        <ColorSchemeSwitch />
      </header>
      <nav className="shell-nav" aria-label="Pages">
        {PLACES.map(([to, name]) => (
          <Link key={to} to={to} className="place" activeOptions={{ exact: to === "/" }}>
            {name}
          </Link>
        ))}
      </nav>
      <main className="shell-main" id="main" tabIndex={-1}>
        <Outlet />
      </main>
    </div>
  );
}

function ColorSchemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useComputedColorScheme("light") === "dark";
  return (
    <ActionIcon
      variant="default"
      ml="auto"
      aria-label={isDark ? "Use light colours" : "Use dark colours"}
      onClick={() => setColorScheme(isDark ? "light" : "dark")}
    >
      <Text aria-hidden>{isDark ? "☀" : "☾"}</Text>
    </ActionIcon>
  );
}

package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/sluice-proxy/sluice/internal/gen"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/policies"
)

func newGen() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gen",
		Short: "Write the data plane's configuration that policies need",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGenEnvoy(), newGenKuma())
	return cmd
}

// genFlags are the flags of both kinds of configuration.
type genFlags struct {
	policies []string
	opt      gen.Options
}

func (f *genFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringArrayVar(&f.policies, "policies", nil, "`path` of a policy file or folder; may be repeated")
	fs.StringVar(&f.opt.Address, "address", "127.0.0.1:9002", "where the data plane reaches Sluice: `host:port` or unix:/path")
	fs.StringVar(&f.opt.Cluster, "cluster", "sluice", "`name` of the cluster that leads to Sluice")
	fs.StringArrayVar(&f.opt.Metadata, "metadata", nil, "`namespace` of dynamic metadata to send along; may be repeated")
	fs.BoolVar(&f.opt.AllowRouting, "allow-routing", false, "let policies set :authority, :method and host, which Envoy otherwise ignores")
	_ = cmd.MarkFlagRequired("policies")
}

func (f *genFlags) plan(cmd *cobra.Command) (gen.Plan, error) {
	set, err := load(cmd.Context(), cmd, f.policies)
	if err != nil {
		return gen.Plan{}, err
	}
	return plan(set), nil
}

// plan works out what a set needs.
func plan(set *policies.Set) gen.Plan {
	var ps []gen.Policy
	for _, p := range set.Policies() {
		ps = append(ps, gen.Policy{
			Name:   p.Name,
			Always: p.Always(),
			Steps:  slices.Concat[[]*pipeline.Step](p.Request, p.Response, p.Log),
		})
	}
	return gen.NewPlan(set.Version(), ps)
}

func newGenEnvoy() *cobra.Command {
	var f genFlags
	var routeDisable bool
	cmd := &cobra.Command{
		Use:   "envoy --policies PATH",
		Short: "Write the ext_proc filter and the cluster for Envoy",
		Long: `Envoy writes two lists, http_filters and clusters. Put the filter before the
router in the list of the HTTP connection manager, and the cluster into the
clusters of the bootstrap (or serve both by xDS). The comment at the head says
what is sent to Sluice and for which step.

--route-disable writes what a route needs to bypass Sluice instead.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if routeDisable {
				out, err := gen.EnvoyRouteDisable()
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(out)
				return err
			}
			p, err := f.plan(cmd)
			if err != nil {
				return err
			}
			out, err := gen.Envoy(p, f.opt)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&routeDisable, "route-disable", false, "write a route's typed_per_filter_config that switches Sluice off for it")
	return cmd
}

func newGenKuma() *cobra.Command {
	var f genFlags
	var service gen.MeshService
	var app string
	var release int
	patch := gen.Patch{}
	cmd := &cobra.Command{
		Use:   "kuma --policies PATH",
		Short: "Write the MeshProxyPatch for Kong Mesh and Kuma",
		Example: `  sluice gen kuma --policies policies/ --app backend
  sluice gen kuma --policies policies/ --app backend --form socket --address unix:/run/sluice/sluice.sock
  sluice gen kuma --policies policies/ --app backend --form service --service sluice --port 9002
  sluice gen kuma --policies policies/ --app backend --target kubernetes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if app != "" {
				if patch.Labels == nil {
					patch.Labels = map[string]string{}
				}
				patch.Labels["app"] = app
			}
			if patch.Form == gen.Service && !cmd.Flags().Changed("cluster") {
				service.Mesh = patch.Mesh
				f.opt.Cluster = service.Cluster(release)
			}
			p, err := f.plan(cmd)
			if err != nil {
				return err
			}
			patch.Options = f.opt
			out, err := gen.Kuma(p, patch)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	f.add(cmd)
	fs := cmd.Flags()
	fs.StringVar((*string)(&patch.Target), "target", string(gen.Universal), "`kind` of deployment: universal or kubernetes")
	fs.StringVar((*string)(&patch.Form), "form", string(gen.Loopback), "`how` the proxies reach Sluice: loopback, socket or service")
	fs.StringVar((*string)(&patch.Origin), "origin", string(gen.Inbound), "`side` of the proxy: inbound, outbound or gateway")
	fs.StringVar(&patch.Listener, "listener", "", "unified `name` of the outbound listener")
	fs.StringVar(&patch.Name, "name", "sluice", "`name` of the patch")
	fs.StringVar(&patch.Mesh, "mesh", "default", "`name` of the mesh")
	fs.StringVar(&patch.Namespace, "system-namespace", gen.SystemNamespace, "`namespace` of the mesh's own objects on Kubernetes")
	fs.StringVar(&app, "app", "", "value of the `label` app of the proxies; all of the mesh without labels")
	fs.StringToStringVar(&patch.Labels, "label", nil, "`label=value` of the proxies; may be repeated")
	fs.StringVar(&service.Name, "service", "sluice", "form service: `name` of Sluice's MeshService")
	fs.StringVar(&service.Namespace, "namespace", "", "form service: `namespace` of the MeshService, on Kubernetes")
	fs.StringVar(&service.Zone, "zone", "default", "form service: `zone` of the MeshService")
	fs.StringVar(&service.Port, "port", "9002", "form service: `port` of the MeshService")
	fs.IntVar(&release, "release", 2, "form service: major `release` of the mesh, 2 or 3")
	return cmd
}
